"""What a write leaves for later: notices for after its commit, rows that are written last.

What is written last is written behind all else of a transaction that many writes may share, so
that a lock it takes is held for an instant, and nobody waits in a ring for it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

from codex32.kernel.events import Event

I = TypeVar("I")  # noqa: E741 - an item

_local = threading.local()


class Stop(str):
    """The id of a running execution that shall be cancelled, for :func:`announce`."""

    __slots__ = ()


class Happenings(ABC):
    """What happened to many at once: told together, for the events of it are seldom wanted.

    To make an event costs more than to count it. What is published is always an event.
    """

    __slots__ = ()

    @abstractmethod
    def events(self) -> Iterator[Event]:
        """The events, made anew."""


Notice: TypeAlias = Event | Happenings | str


def events_in(notices: Iterable[Notice]) -> Iterator[Event]:
    """The events among ``notices``, one by one."""
    for notice in notices:
        if isinstance(notice, Event):
            yield notice
        elif isinstance(notice, Happenings):
            yield from notice.events()


class Leavings:
    """What the writes of one transaction have left so far.

    Attributes:
      notices: What was announced, in order.
    """

    __slots__ = ("_last", "notices")

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self._last: list[tuple[Callable[[Sequence[Any]], object], Any]] = []

    def mark(self) -> tuple[int, int]:
        """How much there is, for :meth:`back_to`."""
        return len(self.notices), len(self._last)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what came since, because its write failed."""
        notices, last = mark
        del self.notices[notices:], self._last[last:]

    def finish(self, outbox: Callable[[list[Notice]], object] | None) -> None:
        """Write what was kept for the end; ``outbox`` is told before that, and of that after."""
        early = list(self.notices)
        if early and outbox is not None:
            outbox(early)
        self._write_last()
        late = self.notices[len(early) :]
        if late and outbox is not None:
            outbox(late)

    def _write_last(self) -> None:
        """Items of the same work together.

        Always in the same order, so that two transactions never wait for each other.
        """
        items: dict[Callable[[Sequence[Any]], object], list[Any]] = {}
        for work, item in self._last:
            items.setdefault(work, []).append(item)
        for work, its_items in sorted(items.items(), key=_name):
            work(its_items)


def _name(entry: tuple[Callable[..., object], object]) -> str:
    work = entry[0]
    return f"{getattr(work, '__module__', '')}.{getattr(work, '__qualname__', '')}"


def announce(notice: Notice) -> None:
    """Tell ``notice`` once the present write is committed; forget it if it is not.

    A text is the id of an execution that may run, a :class:`Stop` of one that shall not.
    """
    _present("announce").notices.append(notice)


def announce_all(notices: Sequence[Event]) -> list[None]:
    """Tell what changes no rows; for ``Door.post`` and ``Door.write_many``."""
    for notice in notices:
        announce(notice)
    return [None] * len(notices)


def write_last(work: Callable[[Sequence[I]], object], item: I) -> None:
    """Have ``work([…, item, …])`` called as the last of the present transaction."""
    _present("write_last")._last.append((work, item))


def _present(asking: str) -> Leavings:
    leavings: Leavings | None = getattr(_local, "leavings", None)
    if leavings is None:
        raise RuntimeError(f"{asking}() is for functions called through Door.write")
    return leavings


@contextmanager
def gathered() -> Iterator[Leavings]:
    """What writes on this thread leave meanwhile."""
    leavings = _local.leavings = Leavings()
    try:
        yield leavings
    finally:
        _local.leavings = None
