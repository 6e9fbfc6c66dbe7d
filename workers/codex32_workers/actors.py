"""The one actor: run executions."""

from __future__ import annotations

import dramatiq

from codex32.engine.records.advance import Claim
from codex32_workers.broker import TicketBroker
from codex32_workers.tickets import ACTOR, QUEUE


def declare(broker: TicketBroker) -> dramatiq.Actor[..., None]:
    """Declare the actor at ``broker``."""

    @dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name=ACTOR)
    def execute(*execution_ids: str) -> None:
        """Hand executions to the engine, which runs them on its event loop.

        One that this process has not claimed came by another consumer's hand: it is claimed now,
        and where that is not possible, because it runs or has ended, nothing happens.
        """
        claims: list[Claim] = []
        for execution_id in execution_ids:
            claim = broker.claims.pop(execution_id, None)
            claims += broker.engine.take(1, [execution_id]) if claim is None else [claim]
        if claims:
            broker.engine.hand_over(claims)

    return execute
