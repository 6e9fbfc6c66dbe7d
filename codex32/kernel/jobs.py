"""Writes that wait for their commit: carried out in groups, answered after it."""

from __future__ import annotations

import asyncio
import logging
import queue
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import peewee as pw

from codex32.kernel.connection import is_outage
from codex32.kernel.notices import Leavings

log = logging.getLogger(__name__)

T = TypeVar("T")


class Job(Generic[T]):
    """A write that waits for its commit.

    Attributes:
      loop: Of the future; None for one that any thread may answer.
      deadline: Monotonic time at which an outage is waited for no longer; None for never.
    """

    __slots__ = ("deadline", "error", "future", "item", "loop", "result", "work")

    def __init__(
        self,
        work: Callable[..., Any],
        item: Any,
        loop: asyncio.AbstractEventLoop | None,
        future: Any,
        deadline: float | None,
    ) -> None:
        self.work, self.item, self.loop, self.future = work, item, loop, future
        self.deadline = deadline
        self.result: Any = None
        self.error: BaseException | None = None

    def answer(self) -> None:
        """Tell whoever waits what came of it."""
        if self.future.done():
            return
        if isinstance(self.error, StopIteration):  # which no future takes
            self.error = RuntimeError("the write raised StopIteration")
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Nobody:
    """Stands for the future of a write that nobody waits for."""

    @staticmethod
    def done() -> bool:
        """Never."""
        return False

    @staticmethod
    def set_result(result: object) -> None:
        """Nobody wants to know."""

    @staticmethod
    def set_exception(error: BaseException) -> None:
        """Nobody hears of it but the log."""
        log.error("a write that nobody waits for failed: %s", error)


#: Marks a job whose work takes no item.
SINGLE = object()


class Line:
    """Jobs in the order in which they came. Any thread puts them in, one takes them.

    Attributes:
      waiting: Those that were taken and are still to be done.
      over: The end was seen, behind which none comes.
    """

    def __init__(self) -> None:
        self._coming: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self.waiting: list[Job[Any]] = []
        self.over = False

    def __len__(self) -> int:
        """How many came and are not done."""
        return len(self.waiting) + self._coming.qsize()

    def put(self, job: Job[Any] | None) -> None:
        """Add a job; None is the end."""
        self._coming.put(job)

    def take(self, *, wait: bool) -> None:
        """Take all that have come; ``wait`` for one if there is none."""
        try:
            job = self._coming.get(block=wait)
            while job is not None:
                self.waiting.append(job)
                job = self._coming.get_nowait()
            self.over = True
        except queue.Empty:
            return

    def give_up_late(self, error: Exception) -> None:
        """Answer those that wait no longer with ``error``; at the end, all without a deadline."""
        now = time.monotonic()
        patient: list[Job[Any]] = []
        late: list[Job[Any]] = []
        for job in self.waiting:
            over = self.over if job.deadline is None else job.deadline < now
            (late if over else patient).append(job)
        self.waiting = patient
        fail(late, error)


def groups_of(jobs: list[Job[Any]]) -> list[list[Job[Any]]]:
    """Jobs of the same work together; one without an item is by itself."""
    grouped: dict[Any, list[Job[Any]]] = {}
    for position, job in enumerate(jobs):
        key: Any = position if job.item is SINGLE else job.work
        grouped.setdefault(key, []).append(job)
    return list(grouped.values())


def carry_out(group: list[Job[Any]]) -> None:
    """Carry out writes of one kind."""
    work = group[0].work
    if group[0].item is SINGLE:
        results: Sequence[Any] = [work()]
    else:
        results = work([job.item for job in group])
    for job, result in zip(group, results, strict=True):
        job.result, job.error = result, None


def carry_out_apart(database: pw.Database, group: list[Job[Any]], left: Leavings) -> None:
    """The same in a savepoint; where a group fails, one by one, so that the guilty fails alone."""
    mark = left.mark()
    try:
        with database.savepoint():
            carry_out(group)
    except BaseException as error:  # whatever it is, it is its caller's and not the writer's
        left.back_to(mark)
        if is_outage(error):
            raise
        if len(group) > 1:  # one bad item must not spoil the others
            for job in group:
                carry_out_apart(database, [job], left)
        else:
            group[0].error = error


def fail(jobs: list[Job[Any]], error: BaseException) -> None:
    """Answer all of them with ``error``."""
    for job in jobs:
        job.error = error
    answer(jobs)


def answer(jobs: list[Job[Any]]) -> None:
    """Wake each event loop once for all its jobs."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job[Any]]] = {}
    for job in jobs:
        if job.loop is None:
            job.answer()
        else:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, mine in by_loop.items():
        try:
            loop.call_soon_threadsafe(_answer_all, mine)
        except RuntimeError:  # the loop was closed meanwhile; nobody waits any more
            log.debug("answers came after their event loop had closed")


def _answer_all(jobs: list[Job[Any]]) -> None:
    for job in jobs:
        job.answer()
