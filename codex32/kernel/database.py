"""The one door to the database: reads on a few threads, writes grouped into shared commits.

A write is a function. Those that are waiting when the writer thread is free are carried out in
one transaction, and all are answered after the one commit: the busier the process, the more
writes share a commit (docs/explanation/performance.md), and a lone write waits for nothing. Where
one of them fails, all are done again, each in a savepoint of its own, so that it fails alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

import peewee as pw

from codex32.kernel.connection import (
    connect,
    fetch,
    is_outage,
    is_sqlite,
    passing_transaction,
    snapshot,
    transaction,
)
from codex32.kernel.fault_points import fault_point
from codex32.kernel.jobs import (
    SINGLE,
    Job,
    Line,
    Nobody,
    answer,
    carry_out,
    carry_out_apart,
    fail,
    groups_of,
)
from codex32.kernel.models import database_proxy
from codex32.kernel.notices import Notice, Stop, announce, announce_all, gathered, write_last
from codex32.kernel.pools import Pool
from codex32.kernel.readers import Readers

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
#: What a group of writes is carried out in.
Within = Callable[[pw.Database], AbstractContextManager[Any]]

#: Writes that share one commit at most; beyond about a hundred nothing more is gained.
MAX_GROUP = 512

#: Where far fewer writes have come than lately were written together, more are on their way.
GATHER_SECONDS = 0.001

_FIRST_PAUSE_SECONDS = 0.05
_READ_AGAIN_SECONDS = 0.5


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
        on_commit: Callable[[Sequence[Notice]], None] | None = None,
        outbox: Callable[[Sequence[Notice]], None] | None = None,
    ) -> None:
        self.database = database
        database_proxy.initialize(database)
        self._on_commit, self._outbox = on_commit, outbox
        #: The threads that read.
        self.readers = Readers(readers)
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="db-teller")
        self._line = Line()
        self._closed = False
        #: How many were written together lately.
        self._recent = 0
        self._writer = threading.Thread(target=self._write_loop, name="db-writer", daemon=True)
        self._writer.start()
        #: Commits and writes so far: how well commits are shared; and commits of up to one, two,
        #: four, … writes.
        self.commits = 0
        self.writes = 0
        self.sizes = [0] * (MAX_GROUP.bit_length())
        self._counting = threading.Lock()
        #: Monotonic time since when the database could not be written, or None.
        self.failing_since: float | None = None

    # from coroutines

    async def read(self, work: Callable[..., T], *args: Any) -> T:
        """What ``work(*args)`` returns, called on a reader thread."""
        return await self.readers.run(self.read_now, work, *args)

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
        return await self._async_job(work, SINGLE, patience_seconds)  # type: ignore[no-any-return]

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
        self._put(Job(work, item, None, Nobody, _deadline(30.0)))

    def _async_job(
        self, work: Callable[..., Any], item: Any, patience_seconds: float | None
    ) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._put(Job(work, item, loop, future, _deadline(patience_seconds)))
        return future

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
        return self._sync_job(work, SINGLE, patience_seconds)  # type: ignore[no-any-return]

    def write_many_now(
        self, work: Batch[I, T], item: I, *, patience_seconds: float | None = 30.0
    ) -> T:
        """Like :meth:`write_many`, for threads without an event loop."""
        return self._sync_job(work, item, patience_seconds)  # type: ignore[no-any-return]

    def write_apart(self, work: Callable[[], T], *, patience_seconds: float) -> T:
        """Like :meth:`write_now`, but on the calling thread, beside what the writer is at.

        What it brings can be worked on while other writes are still under way. SQLite lets one
        write at a time, where a commit more would hold up everybody: there it shares one, unless
        the writer has nothing to do. It does not wait for the disk either: ``work`` must be such
        that all goes well where a crash of the database's machine undoes it. A database that
        cannot be reached is not waited for; the thread keeps a connection to it.
        """
        if is_sqlite() and len(self._line):
            return self.write_now(work, patience_seconds=patience_seconds)
        if self._closed:
            raise _closed()
        job: Job[T] = Job(work, SINGLE, None, Future(), None)
        error = self._carry_out([job], passing_transaction)
        if error is not None:
            raise error
        return job.future.result()  # type: ignore[no-any-return]

    def _sync_job(
        self, work: Callable[..., Any], item: Any, patience_seconds: float | None
    ) -> Any:
        future: Future[Any] = Future()
        self._put(Job(work, item, None, future, _deadline(patience_seconds)))
        return future.result()

    def _put(self, job: Job[Any]) -> None:
        if self._closed:
            raise _closed()
        self._line.put(job)

    def close(self) -> None:
        """Finish what is waiting, then let go of the threads and their connections.

        While the database cannot be reached, what would wait for ever is given up.
        """
        if self._closed:
            return
        self._closed = True
        self._line.put(None)
        self._writer.join()
        self._line.take(wait=False)
        fail(self._line.waiting, _closed())
        self._teller.shutdown()
        self.readers.close(self._drop_connection)
        self._drop_connection()

    def pools(self) -> Mapping[str, Pool]:
        """How busy the threads are that read, and the one that writes."""
        return {
            "database_readers": self.readers.pool(),
            "database_writer": Pool.of(1, len(self._line)),
        }

    # the writer

    def _write_loop(self) -> None:
        line, pause = self._line, _FIRST_PAUSE_SECONDS
        while line.waiting or not line.over:
            line.take(wait=not line.waiting)
            if len(line.waiting) * 2 < self._recent:
                time.sleep(GATHER_SECONDS)
                line.take(wait=False)
            self._recent = max(len(line.waiting), self._recent // 2)
            error = self._carry_out(line.waiting[:MAX_GROUP])
            if error is None:
                del line.waiting[:MAX_GROUP]
                pause = _FIRST_PAUSE_SECONDS
            else:
                # Those that came meanwhile have deadlines as well.
                line.take(wait=False)
                line.give_up_late(error)
                time.sleep(pause if line.waiting else 0.0)
                pause = min(pause * 2, 1.0)
        self._drop_connection()

    def _carry_out(self, jobs: list[Job[Any]], within: Within = transaction) -> Exception | None:
        """Do ``jobs`` and answer them; the error if the database is out of reach."""
        if not jobs:
            return None
        try:
            notices = self._transaction(jobs, within)
        except Exception as error:
            self._drop_connection()
            if not is_outage(error):
                fail(jobs, error)
                return None
            if self.failing_since is None:
                self.failing_since = time.monotonic()
                log.warning("the database cannot be written, trying again: %s", error)
            return error
        if self.failing_since is not None:
            away = time.monotonic() - self.failing_since
            log.warning("the database can be written again after %.1fs", away)
            self.failing_since = None
        with self._counting:
            self.commits += 1
            self.writes += len(jobs)
            self.sizes[(len(jobs) - 1).bit_length()] += 1
        if notices and self._on_commit is not None:
            self._teller.submit(self._tell, notices)
        answer(jobs)
        return None

    def _transaction(self, jobs: list[Job[Any]], within: Within) -> list[Notice]:
        groups = groups_of(jobs)
        try:
            notices = self._commit(groups, within, apart=False)
        except BaseException as error:
            if is_outage(error):
                raise
            # Nothing of it was kept, but for a statement that was sent as the last: a claim, whose
            # lease ends by itself. Now whoever is at fault is found.
            notices = self._commit(groups, within, apart=True)
        fault_point("commit.after")
        return notices

    def _commit(
        self, groups: list[list[Job[Any]]], within: Within, *, apart: bool
    ) -> list[Notice]:
        with gathered() as left, within(self.database):
            for group in groups:
                if apart:
                    carry_out_apart(self.database, group, left)
                else:
                    carry_out(group)
            left.finish(self._outbox)
            fault_point("commit.before")
        return left.notices

    def _tell(self, notices: list[Notice]) -> None:
        try:
            assert self._on_commit is not None
            self._on_commit(notices)
        except Exception:
            log.exception("what was announced could not be told")

    def _drop_connection(self) -> None:
        with suppress(Exception):  # of a broken one
            self.database.close()


def _deadline(patience_seconds: float | None) -> float | None:
    return None if patience_seconds is None else time.monotonic() + patience_seconds


def _closed() -> RuntimeError:
    return RuntimeError("the door to the database is closed")
