"""Huey: Redis as its storage, its consumer with eight threads, as many as Dramatiq has."""

from __future__ import annotations

import os
from collections.abc import Sequence

import huey

from benchmarks.peers.peer import REDIS_URL, Peer

app = huey.RedisHuey("nothing", url=os.environ[REDIS_URL])


@app.task()
def nothing() -> None:
    """Do nothing."""


class Huey(Peer):
    """Messages leave Redis when a thread takes them."""

    def commands(self, processes: int) -> Sequence[Sequence[str]]:
        """A command a process."""
        words = ["-m", "huey.bin.huey_consumer", f"{__name__}.app", "-w", "8", "-q"]
        return [words] * processes

    def send(self, count: int) -> None:
        """As its guide has it."""
        for _ in range(count):
            nothing()

    def left(self) -> bool:
        """Until the queue is empty."""
        return bool(len(app))
