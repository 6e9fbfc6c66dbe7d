"""Dramatiq's Redis broker, but for one queue, whose messages are tickets.

What is replaced, and why, is told in docs/decisions/0002-tickets-and-the-database.md: stock
consumers poll with pauses of up to a second, keep retries and delays in the memory of one
worker, and can lose both. Every other queue is Dramatiq's own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import dramatiq
import redis
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker

from codex32.engine.records.advance import Claim
from codex32_workers.engine_thread import EngineThread
from codex32_workers.tickets import NAMESPACE, QUEUE, Tickets, message

log = logging.getLogger(__name__)

#: How long a worker waits for a ticket before it looks into the database anyway.
POLL_SECONDS = 1.0
#: Claims are taken for about this much work at once, so that idle workers get their share.
AHEAD_SECONDS = 0.02
#: Where much is under way and there is little room, more is about to come: so long it waits.
GATHER_SECONDS = 0.001
#: While a bot has its share of this worker, others are looked for this often.
CROWDED_SECONDS = 0.1


class TicketBroker(RedisBroker):
    """Dramatiq's broker for a process that runs executions.

    Attributes:
      claims: What this process has claimed and no worker thread has begun yet, by id.
    """

    def __init__(self, redis_url: str | None, middleware: Sequence[dramatiq.Middleware]) -> None:
        self.tickets = Tickets(redis_url) if redis_url is not None else None
        client = self.tickets.client if self.tickets is not None else redis.Redis()
        super().__init__(  # type: ignore[no-untyped-call]
            client=client, middleware=list(middleware), namespace=NAMESPACE
        )
        self.claims: dict[str, Claim] = {}
        self.room = Room()
        self.engine: EngineThread

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """A consumer of tickets for our queue, Dramatiq's own for every other."""
        if queue_name == QUEUE:
            return TicketConsumer(self)
        return super().consume(queue_name, prefetch, timeout)

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; ours has no delay queue, for waiting is the database's."""
        if queue_name != QUEUE:
            super().declare_queue(queue_name)
        elif queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def close(self) -> None:
        """Close the connections to Redis."""
        if self.tickets is not None:
            self.tickets.close()


class Room:
    """Tells the consumer's thread that an attempt has ended."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def wait(self, seconds: float) -> None:
        """Until an attempt ends, or ``seconds`` have passed."""
        with self._condition:
            self._condition.wait(seconds)

    def tell(self) -> None:
        """An attempt has ended."""
        with self._condition:
            self._condition.notify_all()


class TicketConsumer(Consumer):
    """Waits for tickets, claims what the database finds most urgent, and hands it on."""

    def __init__(self, broker: TicketBroker) -> None:
        self._broker = broker
        self._closed = False
        #: Tickets to be thrown away: how many, and one that was drawn.
        self._used: tuple[int, str | None] | None = None

    def __next__(self) -> MessageProxy | None:
        """The next message, or None after a while without one. Never raises."""
        self._discard_used()
        if self._closed:
            time.sleep(0.05)
            return None
        room = self._room()
        if room <= 0:
            self._broker.room.wait(0.25)
            return None
        host = self._broker.engine.host
        if room < host.held // 2:  # a claim for few costs as much as one for many
            time.sleep(GATHER_SECONDS)
            room = self._room()
        if not host.more and host.crowded:
            # What is queued may all be the crowding bot's: no ticket tells of others.
            self._broker.room.wait(CROWDED_SECONDS)
        drawn = None if host.more or host.crowded else self._wait()
        try:
            claims = self._broker.engine.take(room)
        except Exception as error:
            log.warning("the database does not answer: %s", error)
            time.sleep(POLL_SECONDS)
            return None
        # Of the claimed executions' tickets one was drawn; after a draw in vain, some that are as
        # stale are thrown away with it.
        surplus = len(claims) - (drawn is not None) if claims else 64
        if drawn is not None or claims:
            self._used = (surplus, drawn)
        return self._message(claims) if claims else None

    def _discard_used(self) -> None:
        """Throw away the tickets of what was claimed; the work on it has begun by now."""
        if self._used is not None and self._broker.tickets is not None:
            self._broker.tickets.discard(*self._used)
        self._used = None

    def _room(self) -> int:
        """How many executions to claim now."""
        host = self._broker.engine.host
        free = host.concurrency - host.held
        average = host.average_seconds
        worth = int(host.concurrency * AHEAD_SECONDS / max(average, 1e-6))
        return min(free, max(worth, 2))

    def _wait(self) -> str | None:
        if self._broker.tickets is None:
            time.sleep(POLL_SECONDS / 4)
            return None
        return self._broker.tickets.wait(POLL_SECONDS)

    def _message(self, claims: Sequence[Claim]) -> MessageProxy:
        """One message for all that was claimed together: each by itself would cost two turns."""
        self._broker.claims.update((claim.id, claim) for claim in claims)
        return MessageProxy(message(*(claim.id for claim in claims)))

    def ack(self, message: MessageProxy) -> None:
        """Nothing: the record of the execution is in the database."""

    def nack(self, message: MessageProxy) -> None:
        """Nothing: an execution that was not begun is given back when its lease ends."""
        for execution_id in message.args:
            self._broker.claims.pop(execution_id, None)
        self._broker.engine.host.let_go(message.args)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Nothing: what was claimed and not begun is handed over when the worker stops."""

    def close(self) -> None:
        """Draw no more tickets."""
        self._closed = True


class EngineMiddleware(dramatiq.Middleware):
    """Starts the engine with a Dramatiq worker and stops it with it."""

    def __init__(self, engine: EngineThread, grace_seconds: float) -> None:
        self._engine = engine
        self._grace_seconds = grace_seconds

    def before_worker_boot(self, broker: Any, worker: Any) -> None:
        """Start the engine before the first message is consumed."""
        self._engine.start()

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        """Hand over what was claimed, then stop in good order."""
        self._engine.hand_over(list(broker.claims.values()))
        broker.claims.clear()
        self._engine.stop(self._grace_seconds)
