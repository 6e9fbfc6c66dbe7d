"""How often bots were executed, how that ended, and how long it took.

Nothing is counted while executions run: a counter would cost each of them a write, and a lock that
all executions of a bot share. What is asked for is read from an index instead, and what is read is
bounded: the newest executions of one bot, or those of a few days.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import peewee as pw

from codex32.kernel.clock import to_micros
from codex32.kernel.database import fetch
from codex32.kernel.ids import first_id
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ExecutionRow
from codex32.kernel.statuses import Status
from codex32.services.executions.listing import along

#: The newest executions of a bot that its counters are about.
COUNTED = 1000
#: Most days that one question may span.
MOST_DAYS = 92
_DAY = 86_400_000_000
#: Ids are made up to this long before or after the time their row tells.
_SLACK = 3_600_000_000
_TOOK = ExecutionRow.finished_at - ExecutionRow.started_at


@dataclass(slots=True)
class Counts:
    """Executions by status, and what those took that have ended (microseconds)."""

    by_status: dict[str, int] = field(default_factory=dict)
    timed: int = 0
    micros: int = 0

    def add(self, status: str, count: int, timed: int, micros: int) -> None:
        """Count executions of a status; ``timed`` of them took ``micros`` together."""
        self.by_status[status] = self.by_status.get(status, 0) + count
        self.timed += timed
        self.micros += micros

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON; rates and means are null where there is nothing to tell."""
        succeeded = self.by_status.get(Status.SUCCEEDED, 0)
        decided = succeeded + self.by_status.get(Status.FAILED, 0)
        return {
            "executions": sum(self.by_status.values()),
            "by_status": dict(sorted(self.by_status.items())),
            "success_rate": round(succeeded / decided, 4) if decided else None,
            "mean_seconds": round(self.micros / self.timed / 1e6, 6) if self.timed else None,
        }


@dataclass(frozen=True, slots=True)
class Day:
    """A bot's executions that were made on one day, in UTC."""

    day: date
    bot_id: str
    bot: str
    counts: Counts

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        return {"day": self.day.isoformat(), "bot": self.bot, **self.counts.as_dict()}


def of_bot(bot_id: str) -> Counts:
    """The newest :data:`COUNTED` executions of a bot, however long its history is."""
    columns = ExecutionRow.status, ExecutionRow.started_at, ExecutionRow.finished_at
    own = along(ExecutionRow.select(*columns), ExecutionRow.bot_id, bot_id)
    newest = own.limit(COUNTED)
    took = newest.c.finished_at - newest.c.started_at
    query = (
        pw.Select((newest,), (newest.c.status, *_sums(newest.c.status, took)))
        .group_by(newest.c.status)
        .bind(ExecutionRow._meta.database)
    )
    counts = Counts()
    for status, count, timed, micros in fetch(query):
        counts.add(status, count, timed, int(micros or 0))
    return counts


def by_day(
    workspace: str, first: date, last: date, *, bot_id: str | None, after: str | None, limit: int
) -> tuple[Sequence[Day], str | None]:
    """Executions by day and bot, the newest day first, and where the next page begins.

    A page reads the days it shows and one more: it costs what these hold, and no more.

    Args:
      workspace: Whose executions.
      first: The first day.
      last: The last day.
      bot_id: Of one bot alone.
      after: ``DAY.BOT_ID``, as the page before told.
      limit: Most rows.
    """
    begun, _, passed = (after or "").partition(".")
    # A cursor that nobody was given must not make us walk through a thousand years.
    day = min(date.fromisoformat(begun), last) if begun else last
    found: list[Day] = []
    while day >= first and len(found) <= limit:
        found += _one_day(workspace, day, bot_id, passed, limit + 1 - len(found))
        day, passed = day - timedelta(days=1), ""
    shown = found[:limit]
    more = f"{shown[-1].day}.{shown[-1].bot_id}" if len(found) > limit else None
    return shown, more


def _one_day(
    workspace: str, day: date, bot_id: str | None, after: str, limit: int
) -> Iterator[Day]:
    begin = to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
    rows = (
        ExecutionRow.select(
            ExecutionRow.bot_id,
            pw.fn.MAX(ExecutionRow.bot_name),
            ExecutionRow.status,
            *_sums(ExecutionRow.id, _TOOK),
        )
        .where(
            ExecutionRow.id >= first_id("exe", begin - _SLACK),
            ExecutionRow.id < first_id("exe", begin + _DAY + _SLACK),
            ExecutionRow.created_at >= begin,
            ExecutionRow.created_at < begin + _DAY,
            ExecutionRow.workspace == workspace,
            ExecutionRow.bot_id > after,
        )
        .group_by(ExecutionRow.bot_id, ExecutionRow.status)
        .order_by(ExecutionRow.bot_id)
    )
    if bot_id is not None:
        rows = rows.where(ExecutionRow.bot_id == bot_id)
    # A bot has at most a row for each status: so many hold `limit` bots whole.
    days: dict[str, Day] = {}
    for its_id, name, status, count, timed, micros in fetch(rows.limit(limit * len(Status))):
        its_day = days.setdefault(its_id, Day(day, its_id, name, Counts()))
        its_day.counts.add(status, count, timed, int(micros or 0))
    yield from list(days.values())[:limit]


def _sums(counted: pw.Node, took: pw.Node) -> tuple[pw.Node, ...]:
    return pw.fn.COUNT(counted), pw.fn.COUNT(took), pw.fn.SUM(took)
