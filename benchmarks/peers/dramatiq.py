"""Dramatiq: the stock broker, the stock command line with eight threads; nothing is recorded."""

from __future__ import annotations

import os
from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.peer import REDIS_URL, Peer

broker = RedisBroker(url=os.environ[REDIS_URL])
dramatiq.set_broker(broker)

#: Keys of the queue's ids, its messages, and the brokers that are alive.
_QUEUE, _MESSAGES, _ALIVE = "dramatiq:default", "dramatiq:default.msgs", "dramatiq:__heartbeats__"


@dramatiq.actor
def nothing() -> None:
    """Do nothing."""


class Dramatiq(Peer):
    """Messages are acknowledged once their actor has returned."""

    def commands(self, processes: int) -> Sequence[Sequence[str]]:
        """One command that starts all its processes."""
        return [["-m", "dramatiq", "-p", str(processes), __name__]]

    def send(self, count: int) -> None:
        """As its guide has it."""
        for _ in range(count):
            nothing.send()

    def left(self) -> bool:
        """Until all are acknowledged."""
        return bool(broker.client.exists(_QUEUE, _MESSAGES))

    def ready(self, processes: int) -> bool:
        """The processes and this one tell Redis that they are alive."""
        return int(broker.client.zcard(_ALIVE)) > processes
