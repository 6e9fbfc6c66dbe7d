"""RQ: its worker as it comes forks a process for each job."""

from __future__ import annotations

import os
from collections.abc import Sequence

import rq
from rq.registry import StartedJobRegistry

from benchmarks.peers.peer import REDIS_URL, Peer, connected


def nothing() -> None:
    """Do nothing."""


class Rq(Peer):
    """Jobs leave the registry of those that were started when they are done."""

    most = 400

    def __init__(self) -> None:
        self._redis = connected()
        self._queue = rq.Queue(connection=self._redis)
        self._started = StartedJobRegistry(queue=self._queue)

    def commands(self, processes: int) -> Sequence[Sequence[str]]:
        """A command a process."""
        return [["-m", "rq.cli", "worker", "-q", "-u", os.environ[REDIS_URL]]] * processes

    def send(self, count: int) -> None:
        """As its guide has it."""
        for _ in range(count):
            self._queue.enqueue(nothing)

    def left(self) -> bool:
        """Until none is queued or started."""
        return bool(self._queue.count or self._started.get_job_count(cleanup=False))

    def close(self) -> None:
        """Close connections."""
        self._redis.close()
