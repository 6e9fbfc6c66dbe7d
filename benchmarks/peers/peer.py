"""What is measured of a peer: sending tasks that do nothing, until none is left."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence

import redis

#: Where a peer's processes, and this one, find the servers.
REDIS_URL, DATABASE_URL = "BENCHMARK_REDIS_URL", "BENCHMARK_DATABASE_URL"


class Peer(ABC):
    """A peer in the process that sends; its workers import the same module.

    Attributes:
      most: Tasks in a slot at most, where it is so slow that more would take minutes.
    """

    most = 1_000_000

    @abstractmethod
    def commands(self, processes: int) -> Sequence[Sequence[str]]:
        """The command lines of its workers, after Python's own name."""

    @abstractmethod
    def send(self, count: int) -> None:
        """Send tasks, one after the other, as its documentation has it."""

    @abstractmethod
    def left(self) -> bool:
        """Whether there is still something to be done."""

    def ready(self, processes: int) -> bool:
        """Whether all workers take part; asked once some tasks have been done."""
        return True

    def close(self) -> None:  # noqa: B027 - some have none
        """Close connections."""


def connected() -> redis.Redis:
    """A client of the Redis that all share."""
    return redis.Redis.from_url(os.environ[REDIS_URL])
