"""Reaching a database, and telling its outages from faults of a statement."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import peewee as pw

from codex32.kernel.models import database_proxy
from codex32.kernel.write_queue import WriteQueue

#: Result codes of SQLite that blame the file or who holds it, not the statement.
_SQLITE_OUTAGES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
#: SQLite gave up the whole transaction, so that undoing a part of it failed; why stands before it.
_UNDONE_ALREADY = ("cannot rollback", "cannot commit", "no such savepoint")
#: Classes of SQLSTATE: connection, rollback (deadlock), resources, locks, operator, system.
_POSTGRESQL_OUTAGES = frozenset({"08", "40", "53", "55", "57", "58"})
#: A server that vanished without a word is given up after some 15 s, not after hours.
_POSTGRESQL: dict[str, Any] = {
    "connect_timeout": 10,
    "application_name": "codex32",
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
#: What psycopg2 raises when a connection breaks, as peewee passes it on.
_POSTGRESQL_ERRORS = (pw.OperationalError, pw.DatabaseError)


_BEGIN = "BEGIN"
#: For so long another writer is waited for; then the door decides whether to go on waiting.
_BUSY_SECONDS = 5


class SqliteDatabase(pw.SqliteDatabase):
    """Writers wait for each other in a queue, each thread with a place of its own.

    A file that is made is for its owner alone, and so are those that SQLite puts beside it.
    """

    def __init__(self, path: str, **options: Any) -> None:
        self._places = threading.local()
        super().__init__(path, **options)

    def _connect(self) -> Any:
        if self.database != ":memory:":
            with contextlib.suppress(OSError):  # it is there, or SQLite will say what is wrong
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                os.close(os.open(self.database, flags, 0o600))
        return super()._connect()  # type: ignore[misc]

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction; one that takes the write lock at once waits for its turn."""
        if lock_type is not None:
            self._place().enter(_BUSY_SECONDS)
        try:
            super().begin(lock_type)
        except BaseException:
            self._place().leave()
            raise

    def commit(self) -> None:
        """Commit, and let the next one write."""
        super().commit()
        self._place().leave()

    def rollback(self) -> None:
        """Undo, and let the next one write."""
        try:
            super().rollback()
        except pw.OperationalError as error:
            # SQLite has undone it already, of which the error that is on its way tells the reason.
            if not str(error).startswith("cannot rollback"):
                raise
        finally:
            self._place().leave()

    def execute_last(self, sql: str, params: Sequence[Any]) -> Any:
        """Execute the last statement of a transaction; a round trip costs nothing here."""
        return self.execute_sql(sql, params)  # type: ignore[no-untyped-call]

    def close(self) -> bool:
        """Close this thread's connection."""
        self._place().close()
        return bool(super().close())

    def _place(self) -> WriteQueue:
        place: WriteQueue | None = getattr(self._places, "queue", None)
        if place is None:
            place = self._places.queue = WriteQueue(f"{self.database}-writers")
        return place


class PostgresqlDatabase(pw.PostgresqlDatabase):
    """Sends statements that nobody asks the result of along with the next: a round trip less each.

    Such are ``BEGIN`` and what is handed to :meth:`defer`. Their faults come to light with the
    statement they travel with, at the latest with the commit.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._due = threading.local()
        super().__init__(*args, **options)

    def defer(self, sql: str, params: Sequence[Any]) -> None:
        """Execute a statement whose result is not looked at, within the transaction."""
        if self.in_transaction():
            self._unsent().append(self._filled(sql, params))
        else:
            self.execute_sql(sql, params)  # type: ignore[no-untyped-call]

    def execute_last(self, sql: str, params: Sequence[Any]) -> Any:
        """Execute the last statement of a transaction.

        Where none was sent before, it is committed with it: statements that travel together
        without a ``BEGIN`` are a transaction by themselves. What followed would be another one.
        """
        unsent = self._take()
        if _BEGIN in unsent:
            unsent.remove(_BEGIN)
            self._due.texts = [_BEGIN]  # nothing is left to commit
            return self._send(*unsent, self._filled(sql, params))
        self._due.texts = unsent
        return self.execute_sql(sql, params)  # type: ignore[no-untyped-call]

    def begin(self, isolation_level: str | None = None) -> None:
        """Begin a transaction when its first statement comes."""
        if isolation_level is not None:
            super().begin(isolation_level)
            return
        if self.is_closed():  # a transaction belongs to the connection it began on
            self.connect()
        self._due.texts = [_BEGIN]

    def commit(self) -> None:
        """Commit what there is."""
        unsent = self._take()
        if unsent == [_BEGIN]:
            return
        if unsent:
            self._send(*unsent, "COMMIT")
        else:
            super().commit()

    def rollback(self) -> None:
        """Undo what there is."""
        if _BEGIN not in self._take():
            super().rollback()

    def close(self) -> bool:
        """Close this thread's connection."""
        self._take()
        return bool(super().close())

    def _execute_cursor(self, sql: str, params: Any, **options: Any) -> Any:
        unsent = self._take()
        if not unsent:
            return super()._execute_cursor(sql, params, **options)  # type: ignore[misc]
        return self._send(*unsent, self._filled(sql, params))

    def _filled(self, sql: str, params: Sequence[Any]) -> str:
        cursor = self.cursor()  # type: ignore[no-untyped-call]
        text: bytes = cursor.mogrify(sql, params or None)
        return text.decode()

    def _send(self, *texts: str) -> Any:
        # What is filled in may hold percent signs, and is filled in no more.
        text = ";".join(texts).replace("%", "%%")
        return super()._execute_cursor(text, ())  # type: ignore[misc]

    def _unsent(self) -> list[str]:
        texts: list[str] = self._due.__dict__.setdefault("texts", [])
        return texts

    def _take(self) -> list[str]:
        unsent = self._unsent()
        self._due.texts = []
        return unsent


def connect(url: str) -> pw.Database:
    """The database behind ``sqlite:///path`` or ``postgresql://user:password@host:port/name``.

    Raises:
      ValueError: The URL is of neither kind.
    """
    if url.startswith("sqlite:///"):
        return SqliteDatabase(
            url.removeprefix("sqlite:///"),
            pragmas={"journal_mode": "wal", "synchronous": "full", "cache_size": -16_000},
            timeout=_BUSY_SECONDS,
        )
    if url.startswith(("postgresql://", "postgres://")):
        # libpq reads the URL itself, options and all.
        url = url.replace("postgres://", "postgresql://", 1)
        return PostgresqlDatabase(url, **_POSTGRESQL | _safety(url))
    scheme = url.partition(":")[0]
    raise ValueError(
        f"no database is reached by {scheme!r}; write sqlite:///path or postgresql://…"
    )


def _safety(url: str) -> dict[str, str]:
    """What a URL with ``options`` of its own says by itself."""
    # A process that is frozen in the middle of a transaction must not hold its locks for ever.
    option = "-c idle_in_transaction_session_timeout=10s"
    return {} if "options=" in url else {"options": option}


def is_sqlite() -> bool:
    """Whether the bound database is SQLite."""
    return isinstance(database_proxy.obj, pw.SqliteDatabase)


def fetch(query: pw.Query) -> list[tuple[Any, ...]]:
    """The rows of a query as tuples, without the cost of model objects."""
    return list(database_proxy.execute(query).fetchall())


def transaction(database: pw.Database) -> AbstractContextManager[Any]:
    """A transaction that may write: SQLite takes its lock at once, so none fails half-way."""
    if isinstance(database, pw.SqliteDatabase):
        return database.atomic("IMMEDIATE")
    return database.atomic()


@contextlib.contextmanager
def passing_transaction(database: pw.Database) -> Iterator[None]:
    """A transaction that may write, and whose commit does not wait for the disk.

    All see it at once. A crash of the database's machine may undo it, unless a commit that does
    wait has followed: both databases write their logs in order.
    """
    if isinstance(database, PostgresqlDatabase):
        with transaction(database):
            database.defer("SET LOCAL synchronous_commit = off", ())
            yield
    else:
        with _unsynced(database), transaction(database):
            yield


@contextlib.contextmanager
def _unsynced(sqlite: pw.Database) -> Iterator[None]:
    sqlite.execute_sql("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        sqlite.execute_sql("PRAGMA synchronous = FULL")


def snapshot(database: pw.Database) -> AbstractContextManager[Any]:
    """A transaction that reads alone: all its statements see the rows of one moment."""
    if isinstance(database, pw.SqliteDatabase):
        return database.atomic()
    return database.atomic(isolation_level="REPEATABLE READ")


def is_outage(error: BaseException) -> bool:
    """Whether the database, rather than the statement, is at fault, so that waiting may help."""
    cause: object = getattr(error, "orig", error)  # peewee keeps the driver's error there
    if isinstance(cause, sqlite3.Error):
        if str(cause).startswith(_UNDONE_ALREADY):
            return any(is_outage(each) for each in _before(cause))
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_OUTAGES
    if cause is error:  # peewee itself misses the connection
        return isinstance(error, pw.InterfaceError)
    if not isinstance(error, pw.InterfaceError) and type(error) not in _POSTGRESQL_ERRORS:
        return False
    code: str | None = getattr(cause, "pgcode", None)
    return code is None or code[:2] in _POSTGRESQL_OUTAGES


def _before(error: BaseException) -> Iterator[BaseException]:
    """The errors during whose handling this one came, the latest first."""
    while error.__context__ is not None:
        error = error.__context__
        if not str(error).startswith(_UNDONE_ALREADY):
            yield error
