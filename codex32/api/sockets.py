"""The connections that a process holds: how many at a time, and how many from one address.

Each costs memory and one of the files that the system lets a process open, and the database and
Redis need of those, too. So a process that holds as many as it may lets go of one on which nothing
is asked, and turns the newcomer away where all are at work.
"""

from __future__ import annotations

import logging
import resource
from collections import Counter
from collections.abc import Callable

from codex32.api.network import Peers, source_of
from codex32.kernel.errors import Codex32Error

log = logging.getLogger(__name__)

#: What a process opens besides: files, the database, Redis, programs.
KEPT_FILES = 256


class SocketsFull(Codex32Error):
    """This process holds as many connections as it may, or as many as one address may have."""

    code = "sockets-full"


class Sockets:
    """Counts the connections of one process.

    Args:
      most: At a time; None for any number.
      most_of_one: The same from one address; proxies that are trusted stand for many.
      peers: Knows the proxies.
      refused: Told of each newcomer who is turned away: ``process`` or ``address`` has too many.
    """

    def __init__(
        self,
        most: int | None = None,
        most_of_one: int | None = None,
        peers: Peers | None = None,
        refused: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._peers, self._refused = peers or Peers(), refused
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """How many there are."""
        return self._held.total()

    def enter(self, address: str, make_room: Callable[[], bool]) -> None:
        """Count a newcomer.

        Args:
          address: Of the other end.
          make_room: Lets go of a connection on which nothing is asked; whether there was one.

        Raises:
          SocketsFull: There are too many, and the newcomer is not counted.
        """
        source = source_of(address)
        most = None if self._peers.is_proxy(address) else self._most_of_one
        if most is not None and self._held[source] >= most:
            self._refused("address")
            raise SocketsFull(f"your address has {most} connections open, and may not have more")
        full = self._most is not None and self.held >= self._most
        if full and not make_room():
            self._refused("process")
            raise SocketsFull(f"this process holds {self._most} connections already; try later")
        self._held[source] += 1

    def leave(self, address: str) -> None:
        """Count one less."""
        source = source_of(address)
        self._held[source] -= 1
        if not self._held[source]:
            del self._held[source]


def allowed(wanted: int) -> int:
    """As many of ``wanted`` connections as the system lets us have; for which it is asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + KEPT_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    files = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    if files == needed:
        return wanted
    most = max(files - KEPT_FILES, files // 2)
    log.warning("connections are limited to %d: the system lets us open %d files", most, files)
    return most
