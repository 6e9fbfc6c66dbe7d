"""The one actor: run an execution."""

from __future__ import annotations

import dramatiq

from codex32_workers.broker import TicketBroker
from codex32_workers.tickets import ACTOR, QUEUE


def declare(broker: TicketBroker) -> dramatiq.Actor[[str], None]:
    """Declare the actor at ``broker``."""

    @dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name=ACTOR)
    def execute(execution_id: str) -> None:
        """Hand an execution to the engine, which runs it on its event loop.

        One that this process has not claimed came by another consumer's hand: it is claimed now,
        and where that is not possible, because it runs or has ended, nothing happens.
        """
        claim = broker.claims.pop(execution_id, None)
        if claim is None:
            claim = next(iter(broker.engine.take(1, [execution_id])), None)
        if claim is not None:
            broker.engine.hand_over(claim)

    return execute
