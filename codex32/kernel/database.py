"""The one door to the database: reads on a few threads, writes grouped into shared commits.

A write is a function. Those that are waiting when the writer thread is free are carried out in
one transaction, and all are answered after the one commit: the busier the process, the more
writes share a commit (docs/explanation/performance.md), and a lone write waits for nothing. Where
one of them fails, all are done again, each in a savepoint of its own, so that it fails alone.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

import peewee as pw

from codex32.kernel.connection import connect, fetch, is_outage, is_sqlite, snapshot, transaction
from codex32.kernel.events import Event
from codex32.kernel.fault_points import fault_point
from codex32.kernel.models import database_proxy
from codex32.kernel.notices import Leavings, Stop, announce, announce_all, gathered, write_last

__all__ = [
    "Batch",
    "Door",
    "Stop",
    "announce",
    "announce_all",
    "connect",
    "fetch",
    "is_outage",
    "is_sqlite",
    "snapshot",
    "transaction",
    "write_last",
]

log = logging.getLogger(__name__)

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item
#: Carries out many writes of one kind at once; one result an item, in order.
Batch = Callable[[Sequence[I]], Sequence[T]]

#: Writes that share one commit at most; beyond about a hundred nothing more is gained.
MAX_GROUP = 512

#: Where far fewer writes have come than lately were written together, more are on their way.
GATHER_SECONDS = 0.001

_FIRST_PAUSE_SECONDS = 0.05
_READ_AGAIN_SECONDS = 0.5


class _Job(Generic[T]):
    """A write that waits for its commit."""

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
        if self.future.done():
            return
        if isinstance(self.error, StopIteration):  # which no future takes
            self.error = RuntimeError("the write raised StopIteration")
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _Nobody:
    """Stands for the future of a write that nobody waits for."""

    @staticmethod
    def done() -> bool:
        return False

    @staticmethod
    def set_result(result: object) -> None:
        pass

    @staticmethod
    def set_exception(error: BaseException) -> None:
        log.error("a write that nobody waits for failed: %s", error)


#: Marks a job whose work takes no item.
_SINGLE = object()


class Door:
    """Reads and writes, from coroutines and from threads.

    Args:
      database: What :func:`connect` returned; the rows are bound to it.
      readers: Threads that read.
      on_commit: Told what was announced, after each commit, in order, on a thread of its own.
      outbox: Told it before the commit, inside the transaction, to write what must not be lost.
    """

    def __init__(
        self,
        database: pw.Database,
        *,
        readers: int = 4,
        on_commit: Callable[[Sequence[Event | str]], None] | None = None,
        outbox: Callable[[Sequence[Event | str]], None] | None = None,
    ) -> None:
        self.database = database
        database_proxy.initialize(database)
        self._on_commit, self._outbox = on_commit, outbox
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="db-reader")
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="db-teller")
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._reader_count = readers
        self._closed = False
        #: How many were written together lately.
        self._recent = 0
        #: The writer has seen that the door closes.
        self._closing = False
        self._writer = threading.Thread(target=self._write_loop, name="db-writer", daemon=True)
        self._writer.start()
        #: Commits and writes so far: how well commits are shared.
        self.commits = 0
        self.writes = 0
        #: Monotonic time since when the database could not be written, or None.
        self.failing_since: float | None = None

    # from coroutines

    async def read(self, work: Callable[..., T], *args: Any) -> T:
        """What ``work(*args)`` returns, called on a reader thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self.read_now, work, *args)

    async def read_surely(self, work: Callable[..., T], *args: Any) -> T:
        """Like :meth:`read`, but an unreachable database is waited for, however long it takes."""
        while True:
            try:
                return await self.read(work, *args)
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("the database cannot be read, trying again: %s", error)
            await asyncio.sleep(_READ_AGAIN_SECONDS)

    async def write(self, work: Callable[[], T], *, patience_seconds: float | None = 30.0) -> T:
        """What ``work()`` returned, after the commit that holds it.

        While the database cannot be reached, ``work`` is repeated: it must be a function that
        may be called again after an attempt that left no trace.

        Args:
          work: Reads and writes rows; no side effects but :func:`announce`.
          patience_seconds: How long an unreachable database is waited for; None for ever.
        """
        return await self._async_job(work, _SINGLE, patience_seconds)  # type: ignore[no-any-return]

    async def write_many(
        self, work: Batch[I, T], item: I, *, patience_seconds: float | None = 30.0
    ) -> T:
        """What ``work([…, item, …])`` returned for ``item``, after the commit.

        Items that wait for the same ``work`` are handed to it together. After a commit whose
        answer was lost it is called again, so it must find its own traces.
        """
        return await self._async_job(work, item, patience_seconds)  # type: ignore[no-any-return]

    def post(self, work: Batch[I, T], item: I) -> None:
        """Have ``item`` written in its turn; nobody waits for it. From any thread."""
        self._put(_Job(work, item, None, _Nobody, _deadline(30.0)))

    async def _async_job(
        self, work: Callable[..., Any], item: Any, patience_seconds: float | None
    ) -> Any:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._put(_Job(work, item, loop, future, _deadline(patience_seconds)))
        return await future

    # from threads

    def read_now(self, work: Callable[..., T], *args: Any) -> T:
        """What ``work(*args)`` returns, called here and now."""
        for pause in (0.05, 0.2, 1.0):
            try:
                return work(*args)
            except (pw.OperationalError, pw.InterfaceError) as error:
                if not is_outage(error):
                    raise
                self._drop_connection()
                time.sleep(pause)
        return work(*args)

    def write_now(self, work: Callable[[], T], *, patience_seconds: float | None = 30.0) -> T:
        """Like :meth:`write`, for threads without an event loop."""
        return self._sync_job(work, _SINGLE, patience_seconds)  # type: ignore[no-any-return]

    def write_many_now(
        self, work: Batch[I, T], item: I, *, patience_seconds: float | None = 30.0
    ) -> T:
        """Like :meth:`write_many`, for threads without an event loop."""
        return self._sync_job(work, item, patience_seconds)  # type: ignore[no-any-return]

    def _sync_job(
        self, work: Callable[..., Any], item: Any, patience_seconds: float | None
    ) -> Any:
        future: Future[Any] = Future()
        self._put(_Job(work, item, None, future, _deadline(patience_seconds)))
        return future.result()

    def _put(self, job: _Job[Any]) -> None:
        if self._closed:
            raise _closed()
        self._jobs.put(job)

    def close(self) -> None:
        """Finish what is waiting, then let go of the threads and their connections.

        While the database cannot be reached, what would wait for ever is given up.
        """
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._writer.join()
        late: list[_Job[Any]] = []
        self._take(late, wait=False)
        _fail(late, _closed())
        self._teller.shutdown()
        # Each thread has a connection of its own, which it alone can close.
        together = threading.Barrier(self._reader_count)
        for _ in range(self._reader_count):
            self._readers.submit(self._leave, together)
        self._readers.shutdown()
        self._drop_connection()

    def _leave(self, together: threading.Barrier) -> None:
        together.wait()
        self._drop_connection()

    # the writer

    def _write_loop(self) -> None:
        waiting: list[_Job[Any]] = []
        pause = _FIRST_PAUSE_SECONDS
        while waiting or not self._closing:
            self._take(waiting, wait=not waiting)
            if len(waiting) * 2 < self._recent:
                time.sleep(GATHER_SECONDS)
                self._take(waiting, wait=False)
            self._recent = max(len(waiting), self._recent // 2)
            error = self._carry_out(waiting[:MAX_GROUP])
            if error is None:
                del waiting[:MAX_GROUP]
                pause = _FIRST_PAUSE_SECONDS
            else:
                # Those that came meanwhile have deadlines as well.
                self._take(waiting, wait=False)
                waiting = self._patient(waiting, error)
                time.sleep(pause if waiting else 0.0)
                pause = min(pause * 2, 1.0)
        self._drop_connection()

    def _take(self, jobs: list[_Job[Any]], *, wait: bool) -> None:
        """Add all jobs that have come; ``wait`` for one if there is none."""
        try:
            job = self._jobs.get(block=wait)
            while job is not None:
                jobs.append(job)
                job = self._jobs.get_nowait()
            self._closing = True
        except queue.Empty:
            return

    def _patient(self, jobs: list[_Job[Any]], error: Exception) -> list[_Job[Any]]:
        """Those of ``jobs`` that go on waiting; the others fail with ``error``."""
        now = time.monotonic()
        patient: list[_Job[Any]] = []
        late: list[_Job[Any]] = []
        for job in jobs:
            over = self._closing if job.deadline is None else job.deadline < now
            (late if over else patient).append(job)
        _fail(late, error)
        return patient

    def _carry_out(self, jobs: list[_Job[Any]]) -> Exception | None:
        """Do ``jobs`` and answer them; the error if the database is out of reach."""
        if not jobs:
            return None
        try:
            notices = self._transaction(jobs)
        except Exception as error:
            self._drop_connection()
            if not is_outage(error):
                _fail(jobs, error)
                return None
            if self.failing_since is None:
                self.failing_since = time.monotonic()
                log.warning("the database cannot be written, trying again: %s", error)
            return error
        if self.failing_since is not None:
            away = time.monotonic() - self.failing_since
            log.warning("the database can be written again after %.1fs", away)
            self.failing_since = None
        self.commits += 1
        self.writes += len(jobs)
        if notices and self._on_commit is not None:
            self._teller.submit(self._tell, notices)
        _answer(jobs)
        return None

    def _transaction(self, jobs: list[_Job[Any]]) -> list[Event | str]:
        groups = _groups(jobs)
        try:
            notices = self._commit(groups, apart=False)
        except BaseException as error:
            if is_outage(error):
                raise
            # Nothing of it was kept; now whoever is at fault is found.
            notices = self._commit(groups, apart=True)
        fault_point("commit.after")
        return notices

    def _commit(self, groups: list[list[_Job[Any]]], *, apart: bool) -> list[Event | str]:
        with gathered() as left, transaction(self.database):
            for group in groups:
                if apart:
                    _carry_out_group(self.database, group, left)
                else:
                    _do(group)
            if left.notices and self._outbox is not None:
                self._outbox(left.notices)
            left.write_last()
            fault_point("commit.before")
        return left.notices

    def _tell(self, notices: list[Event | str]) -> None:
        try:
            assert self._on_commit is not None
            self._on_commit(notices)
        except Exception:
            log.exception("what was announced could not be told")

    def _drop_connection(self) -> None:
        with suppress(Exception):  # of a broken one
            self.database.close()


def _carry_out_group(database: pw.Database, group: list[_Job[Any]], left: Leavings) -> None:
    mark = left.mark()
    try:
        with database.savepoint():
            _do(group)
    except BaseException as error:  # whatever it is, it is its caller's and not the writer's
        left.back_to(mark)
        if is_outage(error):
            raise
        if len(group) > 1:  # one bad item must not spoil the others
            for job in group:
                _carry_out_group(database, [job], left)
        else:
            group[0].error = error


def _do(group: list[_Job[Any]]) -> None:
    """Carry out writes of one kind."""
    work = group[0].work
    if group[0].item is _SINGLE:
        results: Sequence[Any] = [work()]
    else:
        results = work([job.item for job in group])
    for job, result in zip(group, results, strict=True):
        job.result, job.error = result, None


def _groups(jobs: list[_Job[Any]]) -> list[list[_Job[Any]]]:
    grouped: dict[Any, list[_Job[Any]]] = {}
    for position, job in enumerate(jobs):
        key: Any = position if job.item is _SINGLE else job.work
        grouped.setdefault(key, []).append(job)
    return list(grouped.values())


def _deadline(patience_seconds: float | None) -> float | None:
    return None if patience_seconds is None else time.monotonic() + patience_seconds


def _closed() -> RuntimeError:
    return RuntimeError("the door to the database is closed")


def _fail(jobs: list[_Job[Any]], error: BaseException) -> None:
    for job in jobs:
        job.error = error
    _answer(jobs)


def _answer(jobs: list[_Job[Any]]) -> None:
    """Wake each event loop once for all its jobs."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job[Any]]] = {}
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


def _answer_all(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        job.answer()
