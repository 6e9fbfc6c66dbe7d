"""A few connections to PostgreSQL, lent to one thread at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from codex32 import ProviderRejected

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

_T = TypeVar("_T")
_KEPT = 4


class Connections:
    """Opened when needed; at most four are kept. Not shared with children of a fork."""

    def __init__(self, dsn: str, timeout_seconds: float) -> None:
        self._dsn = dsn
        self._milliseconds = max(1, int(timeout_seconds * 1000))
        self._idle: list[Connection] = []
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def carry_out(self, work: Callable[[Cursor], _T]) -> _T:
        """Do the work in one transaction; once more if a kept connection turns out dead."""
        kept = self._take()
        if kept is not None:
            try:
                return self._in_transaction(kept, work)
            except Exception:
                if not kept.closed:
                    raise
        return self._in_transaction(self._open(), work)

    def alone(self, work: Callable[[Cursor], _T], timeout_seconds: float) -> _T:
        """Do the work outside of a transaction, within a limit of its own."""
        connection = self._open(autocommit=True, milliseconds=int(timeout_seconds * 1000))
        try:
            with connection.cursor() as cursor:
                return work(cursor)
        finally:
            connection.close()

    def close(self) -> None:
        """Close those that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        if self._owner == os.getpid():
            for connection in idle:
                connection.close()

    def _in_transaction(self, connection: Connection, work: Callable[[Cursor], _T]) -> _T:
        try:
            with connection.cursor() as cursor:
                result = work(cursor)
            connection.commit()
        except BaseException:
            if not connection.closed:
                connection.rollback()
            self._give_back(connection)
            raise
        self._give_back(connection)
        return result

    def _take(self) -> Connection | None:
        with self._lock:
            if self._owner != os.getpid():
                # Their sockets are the parent's: neither used nor closed here.
                _inherited.extend(self._idle)
                self._idle, self._owner = [], os.getpid()
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not connection.closed and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def _open(self, *, autocommit: bool = False, milliseconds: int = 0) -> Connection:
        import psycopg2

        if not self._dsn:
            raise ProviderRejected("pgvector has no database; set plugins.pgvector.dsn")
        connection = psycopg2.connect(
            self._dsn,
            connect_timeout=max(2, self._milliseconds // 1000),
            options=f"-c statement_timeout={milliseconds or self._milliseconds}",
            application_name="codex32-pgvector",
            tcp_user_timeout=self._milliseconds,
        )
        connection.autocommit = autocommit
        return connection


_inherited: list[Any] = []
