"""Pools of this process: threads and connections that are shared, and how busy they are."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Pool(NamedTuple):
    """A pool at one moment, or several together.

    Attributes:
      size: How many there are.
      in_use: How many of them are at work.
      waiting: What waits for one of them.
    """

    size: int
    in_use: int
    waiting: int = 0

    @classmethod
    def of(cls, size: int, asked: int) -> Pool:
        """One of ``size`` of which ``asked`` are wanted."""
        return cls(size, min(asked, size), max(asked - size, 0))

    def with_other(self, other: Pool) -> Pool:
        """Both together."""
        return Pool(*map(sum, zip(self, other, strict=True)))


class Pools:
    """The pools of a process, by name; several may have the same. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Not kept from being collected: a pool that nobody holds any more is none.
        self._owners: weakref.WeakKeyDictionary[Any, tuple[str, Callable[[Any], Pool]]] = (
            weakref.WeakKeyDictionary()
        )

    def watch(self, name: str, owner: Any, look: Callable[[Any], Pool]) -> None:
        """From now on ask ``look(owner)``, for as long as there is an owner."""
        with self._lock:
            self._owners[owner] = (name, look)

    def look(self) -> Mapping[str, Pool]:
        """How busy they are now, by name."""
        with self._lock:
            owners = list(self._owners.items())
        found: dict[str, Pool] = {}
        for owner, (name, look) in owners:
            found[name] = found.get(name, Pool(0, 0)).with_other(look(owner))
        return found


#: Those of this process, but for the database's, which its door knows.
pools = Pools()
