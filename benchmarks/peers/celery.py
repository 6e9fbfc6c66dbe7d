"""Celery: Redis as its broker, a process a worker as it comes, results not kept."""

from __future__ import annotations

import os
from collections.abc import Sequence

import celery

from benchmarks.peers.peer import REDIS_URL, Peer, connected

#: Celery has a name of its own for sockets of a machine.
_URL = os.environ[REDIS_URL].replace("unix://", "redis+socket://")
app = celery.Celery("nothing", broker=_URL)


@app.task
def nothing() -> None:
    """Do nothing."""


class Celery(Peer):
    """Messages are acknowledged when their task begins."""

    def __init__(self) -> None:
        self._redis = connected()

    def commands(self, processes: int) -> Sequence[Sequence[str]]:
        """One command that starts all its processes."""
        words = ["-m", "celery", "-A", __name__, "worker", "-l", "WARNING"]
        return [[*words, "--concurrency", str(processes)]]

    def send(self, count: int) -> None:
        """As its guide has it."""
        for _ in range(count):
            nothing.delay()

    def left(self) -> bool:
        """Until the queue and what was fetched from it are empty."""
        return bool(self._redis.exists("celery", "unacked"))

    def close(self) -> None:
        """Close connections."""
        self._redis.close()
