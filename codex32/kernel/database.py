"""The one door to the database: reads on a few threads, writes grouped into shared commits.

A write is a function. Those that are waiting when the writer thread is free are carried out in
one transaction, each in a savepoint of its own, and all are answered after the one commit: the
busier the process, the more writes share a commit, and no write waits for a timer
(ENGINE, C3: 25 to 40 times the rows of a commit each).
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

import peewee as pw

from codex32.kernel.events import Event
from codex32.kernel.models import database_proxy

log = logging.getLogger(__name__)

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item
#: Carries out many writes of one kind at once; one result an item, in order.
Batch = Callable[[Sequence[I]], Sequence[T]]

#: Writes that share one commit at most; beyond about a hundred nothing more is gained.
MAX_GROUP = 512

_local = threading.local()


def connect(url: str) -> pw.Database:
    """The database behind ``sqlite:///path`` or ``postgresql://user:password@host:port/name``.

    Raises:
      ValueError: The URL is of neither kind.
    """
    if url.startswith("sqlite:///"):
        return pw.SqliteDatabase(
            url.removeprefix("sqlite:///"),
            pragmas={"journal_mode": "wal", "synchronous": "full", "cache_size": -16_000},
            timeout=30,
        )
    if url.startswith(("postgresql://", "postgres://")):
        # libpq reads the URL itself, options and all.
        url = url.replace("postgres://", "postgresql://", 1)
        return pw.PostgresqlDatabase(url, connect_timeout=10, application_name="codex32")
    scheme = url.partition(":")[0]
    raise ValueError(
        f"no database is reached by {scheme!r}; write sqlite:///path or postgresql://…"
    )


def is_sqlite() -> bool:
    """Whether the bound database is SQLite."""
    return isinstance(database_proxy.obj, pw.SqliteDatabase)


def fetch(query: pw.Query) -> list[tuple[Any, ...]]:
    """The rows of a query as tuples, without the cost of model objects."""
    return list(database_proxy.execute(query).fetchall())


def announce(notice: Event | str) -> None:
    """Tell ``notice`` once the present write is committed; forget it if it is not.

    A text is the id of an execution that may run.
    """
    notices: list[Event | str] | None = getattr(_local, "notices", None)
    if notices is None:
        raise RuntimeError("announce() is for functions called through Door.write")
    notices.append(notice)


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
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _Nobody:
    """Stands for the future of a write that nobody waits for."""

    @staticmethod
    def done() -> bool:
        return True


class _Single:
    """Marks a job whose work takes no item."""


_SINGLE = _Single()


class Door:
    """Reads and writes, from coroutines and from threads.

    Args:
      database: What :func:`connect` returned; the rows are bound to it.
      readers: Threads that read.
      on_commit: Told what was announced, after each commit, in order, on a thread of its own.
    """

    def __init__(
        self,
        database: pw.Database,
        *,
        readers: int = 4,
        on_commit: Callable[[Sequence[Event | str]], None] | None = None,
    ) -> None:
        self.database = database
        database_proxy.initialize(database)
        self._on_commit = on_commit
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="db-reader")
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="db-teller")
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
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
        self._jobs.put(_Job(work, item, None, _Nobody, _deadline(30.0)))

    async def _async_job(
        self, work: Callable[..., Any], item: Any, patience_seconds: float | None
    ) -> Any:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._jobs.put(_Job(work, item, loop, future, _deadline(patience_seconds)))
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
        self._jobs.put(_Job(work, item, None, future, _deadline(patience_seconds)))
        return future.result()

    def close(self) -> None:
        """Finish what is waiting, then let go of the threads and their connections."""
        self._jobs.put(None)
        self._writer.join()
        self._teller.shutdown()
        self._readers.shutdown()
        self._drop_connection()

    # the writer

    def _write_loop(self) -> None:
        closing = False
        while not closing:
            jobs: list[_Job[Any]] = []
            job = self._jobs.get()
            while True:
                if job is None:
                    closing = True
                    break
                jobs.append(job)
                if len(jobs) == MAX_GROUP:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            if jobs:
                self._carry_out(jobs)
        self._drop_connection()

    def _carry_out(self, jobs: list[_Job[Any]]) -> None:
        pause = 0.05
        while jobs:
            try:
                notices = self._transaction(jobs)
            except Exception as error:
                self._drop_connection()
                if not is_outage(error):
                    _fail(jobs, error)
                    return
                self.failing_since = self.failing_since or time.monotonic()
                log.warning("the database cannot be written, trying again: %s", error)
                jobs = _within_deadline(jobs, error)
                time.sleep(pause)
                pause = min(pause * 2, 1.0)
                continue
            self.failing_since = None
            self.commits += 1
            self.writes += len(jobs)
            if notices and self._on_commit is not None:
                self._teller.submit(self._tell, notices)
            _answer(jobs)
            return

    def _transaction(self, jobs: list[_Job[Any]]) -> list[Event | str]:
        notices: list[Event | str] = []
        _local.notices = notices
        try:
            with transaction(self.database):
                for group in _groups(jobs):
                    self._carry_out_group(group, notices)
        finally:
            _local.notices = None
        return notices

    def _carry_out_group(self, group: list[_Job[Any]], notices: list[Event | str]) -> None:
        told = len(notices)
        work = group[0].work
        try:
            with self.database.savepoint():
                if group[0].item is _SINGLE:
                    results: Sequence[Any] = [work()]
                else:
                    results = work([job.item for job in group])
            for job, result in zip(group, results, strict=True):
                job.result, job.error = result, None
        except Exception as error:
            del notices[told:]
            if is_outage(error):
                raise
            if len(group) > 1:  # one bad item must not spoil the others
                for job in group:
                    self._carry_out_group([job], notices)
            else:
                group[0].error = error

    def _tell(self, notices: list[Event | str]) -> None:
        try:
            assert self._on_commit is not None
            self._on_commit(notices)
        except Exception:
            log.exception("what was announced could not be told")

    def _drop_connection(self) -> None:
        try:
            self.database.close()
        except Exception:
            log.debug("a broken connection could not be closed", exc_info=True)


def transaction(database: pw.Database) -> AbstractContextManager[Any]:
    """A transaction that may write: SQLite takes its lock at once, so none fails half-way."""
    if isinstance(database, pw.SqliteDatabase):
        return database.atomic("IMMEDIATE")
    return database.atomic()


def is_outage(error: BaseException) -> bool:
    """Whether the database, rather than the statement, is at fault, so that waiting may help."""
    if isinstance(error, pw.InterfaceError):
        return True
    if not isinstance(error, pw.OperationalError):
        return False
    text = str(error)
    return not text.startswith(("no such", "near ", "incomplete input", "too many SQL"))


def _groups(jobs: list[_Job[Any]]) -> list[list[_Job[Any]]]:
    grouped: dict[Any, list[_Job[Any]]] = {}
    for position, job in enumerate(jobs):
        key: Any = position if job.item is _SINGLE else job.work
        grouped.setdefault(key, []).append(job)
    return list(grouped.values())


def _deadline(patience_seconds: float | None) -> float | None:
    return None if patience_seconds is None else time.monotonic() + patience_seconds


def _within_deadline(jobs: list[_Job[Any]], error: BaseException) -> list[_Job[Any]]:
    now = time.monotonic()
    late = [job for job in jobs if job.deadline is not None and job.deadline < now]
    _fail(late, error)
    return [job for job in jobs if job not in late]


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
