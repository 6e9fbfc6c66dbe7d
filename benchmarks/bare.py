"""Bare Dramatiq under measurement: stock broker, stock command line, nothing recorded."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import processes
from benchmarks.drive import WARM_UP, Drive
from benchmarks.servers import Servers
from codex32.outside.children import Children

#: Keys of the queue's ids, its messages, and the brokers that are alive.
_QUEUE, _MESSAGES, _ALIVE = "dramatiq:default", "dramatiq:default.msgs", "dramatiq:__heartbeats__"


class Bare:
    """A running ``dramatiq`` command with ``count`` worker processes."""

    def __init__(self, servers: Servers, children: Children) -> None:
        # Imported late: the module takes the address from the environment.
        from benchmarks import actors

        self._servers, self._children = servers, children
        self._actor: Any = actors.nothing
        self._redis: Any = actors.broker.client

    def run(self, count: int) -> Drive:
        """Send ``count`` messages from this thread and wait until all are acknowledged."""
        drive = Drive.begin(count, self._servers.postgresql_pid())
        for _ in range(count):
            self._actor.send()
        drive.submitted()
        processes.wait("the queue", self._empty, self._children)
        return drive.end(self._servers.postgresql_pid())

    def warm_up(self, count: int) -> None:
        """Have ``count`` processes and this one known to Redis, and all code paths used."""
        self.run(WARM_UP)
        processes.wait("dramatiq", lambda: self._alive() > count, self._children)

    def _empty(self) -> bool:
        time.sleep(0.01)
        return not self._redis.exists(_QUEUE, _MESSAGES)

    def _alive(self) -> int:
        return int(self._redis.zcard(_ALIVE))


@contextmanager
def running(servers: Servers, count: int) -> Iterator[Bare]:
    """Bare Dramatiq with ``count`` worker processes of its default eight threads."""
    servers.empty_redis()
    os.environ["BENCHMARK_REDIS_URL"] = servers.redis_url
    command = [sys.executable, "-m", "dramatiq", "--path", str(processes.ROOT), "-p", str(count)]
    log = servers.new_folder() / "log"
    named = {"dramatiq": [*command, "benchmarks.actors"]}
    with processes.children(named, os.environ, log) as children:
        bare = Bare(servers, children)
        bare.warm_up(count)
        yield bare
