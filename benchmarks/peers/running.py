"""Running peers: which are there, their workers, and one stretch of work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

from benchmarks import processes
from benchmarks.drive import WARM_UP, Drive
from benchmarks.peers.peer import DATABASE_URL, REDIS_URL, Peer
from benchmarks.servers import Servers
from codex32.outside.children import Children

_PEERS = ("celery", "rq", "huey", "procrastinate", "dbos")


def installed() -> Sequence[str]:
    """The peers that are there, without Dramatiq."""
    return [name for name in _PEERS if find_spec(name) is not None]


class Running:
    """A peer with its workers."""

    def __init__(self, servers: Servers, peer: Peer, children: Children) -> None:
        self._servers, self._peer, self._children = servers, peer, children

    def run(self, count: int) -> Drive:
        """Send ``count`` tasks from this thread, and wait until none is left."""
        count = min(count, self._peer.most)
        drive = Drive.begin(count, self._servers.postgresql_pid())
        self._peer.send(count)
        drive.submitted()
        processes.wait("the queue", self._empty, self._children)
        return drive.end(self._servers.postgresql_pid())

    def warm_up(self, count: int) -> None:
        """Have all code paths used, and ``count`` processes taking part."""
        self.run(WARM_UP)
        processes.wait("the workers", lambda: self._peer.ready(count), self._children)

    def _empty(self) -> bool:
        time.sleep(0.01)
        return not self._peer.left()


@contextmanager
def running(servers: Servers, name: str, count: int) -> Iterator[Running]:
    """A peer with ``count`` worker processes, on the Redis that all share or a fresh database."""
    servers.empty_redis()
    folder = servers.new_folder()
    with servers.database("postgresql", folder) as url:
        os.environ |= {REDIS_URL: servers.redis_url, DATABASE_URL: url}
        # Imported late: the module takes the address from the environment.
        module = import_module(f"benchmarks.peers.{name}")
        peer: Peer = getattr(module, name.capitalize())()
        try:
            commands = enumerate(peer.commands(count), 1)
            named = {f"{name} {n}": [sys.executable, *words] for n, words in commands}
            path = {"PYTHONPATH": str(processes.ROOT)}
            with processes.children(named, {**os.environ, **path}, folder / "log") as children:
                found = Running(servers, peer, children)
                found.warm_up(count)
                yield found
        finally:
            peer.close()
