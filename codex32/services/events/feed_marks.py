"""Up to where a table can be read without missing a row that is committed later.

Rows are counted when they are written, and are seen when they are committed. On PostgreSQL a
transaction may hold a smaller number than one that is committed already; whoever had read past it
would never see it. So a mark is taken of the greatest number that is seen, together with the
transactions that are writing just then, and nothing up to it is read before those have ended. Who
writes holds a lock on the table from before its first number until after its commit, so the locks
tell exactly. SQLite has one writer at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.kernel.database import Door, fetch, is_sqlite
from codex32.kernel.models import EventRow, LogLineRow, database_proxy

log = logging.getLogger(__name__)

#: No transaction of the house takes so long; one that does is not waited for.
PATIENCE_SECONDS = 20.0
_FIRST_PAUSE_SECONDS = 0.01

_TABLES = "'event'::regclass, 'log_line'::regclass"
_WRITERS = (
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' "  # noqa: S608
    "AND mode = 'RowExclusiveLock' AND granted AND pid <> pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    f"AND relation IN ({_TABLES})"
)


@dataclass(frozen=True, slots=True)
class Marks:
    """The greatest numbers that were seen, and who was writing then.

    Attributes:
      event: Of ``event.seq``.
      line: Of ``log_line.id``.
      writers: Transactions that may still commit smaller ones.
    """

    event: int
    line: int
    writers: tuple[str, ...] = ()


def take() -> Marks:
    """The present marks; called on a reader thread."""
    if is_sqlite():
        events = fetch(EventRow.select(pw.fn.MAX(EventRow.seq)))
        lines = fetch(LogLineRow.select(pw.fn.MAX(LogLineRow.id)))
        return Marks(events[0][0] or 0, lines[0][0] or 0)
    # One statement sees one moment: whoever is not among its writers has been seen.
    row = database_proxy.execute_sql(
        "SELECT (SELECT max(seq) FROM event), (SELECT max(id) FROM log_line), "  # noqa: S608
        f"ARRAY({_WRITERS})"
    ).fetchone()
    return Marks(row[0] or 0, row[1] or 0, tuple(row[2]))


def still_writing(writers: Sequence[str]) -> tuple[str, ...]:
    """Those of some transactions that have not ended; called on a reader thread."""
    if not writers:
        return ()
    found = database_proxy.execute_sql(
        f"{_WRITERS} AND virtualtransaction = ANY(%s)", (list(writers),)
    ).fetchall()
    return tuple(row[0] for row in found)


async def settle(door: Door, marks: Marks) -> None:
    """Return when everything up to the marks is committed or never will be."""
    writers, pause = marks.writers, _FIRST_PAUSE_SECONDS
    began = time.monotonic()
    while writers := await door.read(still_writing, writers):
        if time.monotonic() - began > PATIENCE_SECONDS:
            log.warning("%d transactions take long and are not waited for", len(writers))
            return
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.2)
