"""Listing executions, as quickly beside a million others as alone.

Each list walks along one index, which ends in ids, and stops when it has enough. A database that
may choose walks along the ids of all where it believes that what is asked for is common; it then
goes through everything that came since it was. So it is asked in an order in which no other index
has them: by the value that all of a list have in common, and by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

import peewee as pw

from codex32.kernel.caller import DEFAULT_WORKSPACE
from codex32.kernel.database import is_sqlite
from codex32.kernel.ids import first_id
from codex32.kernel.models import BotRow, ExecutionRow
from codex32.kernel.statuses import Status

#: An id is made up to this long before its row, or after it by a clock that goes before.
_SLACK = 60 * 60 * 1_000_000
#: Few have such a status for good: of each bot there is an index of them, and its condition.
_TROUBLES = (Status.FAILED, Status.CANCELLED, Status.SKIPPED)
_IN_TROUBLE = f"status IN ({', '.join(repr(each.value) for each in _TROUBLES)})"


@dataclass(frozen=True, slots=True)
class Query:
    """Which executions to list.

    Attributes:
      since: Only executions that were made at this time or later, in microseconds.
      until: Only executions that were made before this time.
      beyond: Only executions that stand behind this one: the last of the page before.
      oldest_first: Else the newest.
    """

    bot: str | None = None
    status: Sequence[str] = ()
    cause: str | None = None
    trigger_kind: str | None = None
    since: int | None = None
    until: int | None = None
    beyond: str | None = None
    oldest_first: bool = False
    limit: int = 20
    workspace: str = DEFAULT_WORKSPACE


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of an index: ids from ``low`` on, and below ``high``, where there is one."""

    low: str | None = None
    high: str | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class _Way:
    """An index: after ``within`` it has its rows by ``column``, and then by id.

    Attributes:
      value: What those that are asked for have in that column.
      such: Which rows are in it alone; None where all are.
    """

    within: pw.Field | None
    column: pw.Field
    value: str
    such: str | None = None


def listing(query: Query) -> list[ExecutionRow]:
    """The executions that ``query`` asks for."""
    bot_id = None
    if query.bot is not None:
        mine = (BotRow.workspace == query.workspace) & (BotRow.name == query.bot)
        bot_id = BotRow.select(BotRow.id).where(mine).scalar()
        if bot_id is None:
            return []
    stretch = _stretch(query)
    found = chain.from_iterable(
        along(_asked(query, bot_id, way), way.column, way.value, stretch).limit(query.limit)
        for way in _ways(query, bot_id)
    )
    by_id = sorted(found, key=attrgetter("id"), reverse=not query.oldest_first)
    return by_id[: query.limit]


def along(
    rows: pw.ModelSelect[ExecutionRow],
    column: pw.Field,
    value: str,
    stretch: Stretch | None = None,
) -> pw.ModelSelect[ExecutionRow]:
    """Those of ``rows`` that have this value, along the index of its column and ids.

    Args:
      rows: Executions; where the index begins with the workspace, of one workspace.
      column: That for which there is an index.
      value: What they have there.
      stretch: Where to walk; by default from the newest to the oldest.
    """
    stretch = stretch or Stretch()
    both = (column, ExecutionRow.id)
    order = both if stretch.oldest_first else [each.desc() for each in both]
    place = pw.Tuple(*both)
    # Equal to the value it would be a constant, by which nothing has to be in order.
    begin, end = column >= value, column <= value
    if stretch.low is not None:
        begin = place >= pw.Tuple(value, stretch.low)
    if stretch.high is not None:
        end = place < pw.Tuple(value, stretch.high)
    return rows.where(begin, end).order_by(*order)


def _asked(query: Query, bot_id: str | None, way: _Way) -> pw.ModelSelect[ExecutionRow]:
    """All that is asked but what says where to walk."""
    rows = ExecutionRow.select()
    for column, values in (
        (ExecutionRow.workspace, [query.workspace]),
        (ExecutionRow.bot_id, [bot_id]),
        (ExecutionRow.status, list(query.status)),
        (ExecutionRow.cause, [query.cause]),
        (ExecutionRow.trigger_kind, [query.trigger_kind]),
    ):
        if values and values != [None] and column is not way.column:
            rows = rows.where(_beside(column, way).in_(values))
    if way.such is not None:
        rows = rows.where(pw.SQL(way.such))
    if query.since is not None:
        rows = rows.where(ExecutionRow.created_at >= query.since)
    if query.until is not None:
        rows = rows.where(ExecutionRow.created_at < query.until)
    if query.beyond is not None and query.oldest_first:  # where it walks begins with this one
        rows = rows.where(ExecutionRow.id != query.beyond)
    return rows


def _beside(column: pw.Field, way: _Way) -> pw.ColumnBase:
    """A column whose own index SQLite shall not take, which it prefers to what is in order."""
    free = column is way.within or not is_sqlite()
    return column if free else pw.NodeList((pw.SQL("+"), column))


def _stretch(query: Query) -> Stretch:
    low = None if query.since is None else first_id("exe", query.since - _SLACK)
    high = None if query.until is None else first_id("exe", query.until + _SLACK)
    if query.beyond is not None and query.oldest_first:
        low = max(low or "", query.beyond)
    elif query.beyond is not None:
        high = min(high or query.beyond, query.beyond)
    return Stretch(low, high, query.oldest_first)


def _ways(query: Query, bot_id: str | None) -> list[_Way]:
    """The indexes that have the fewest to pass over, each for some of what is asked for."""
    row, status = ExecutionRow, sorted(set(query.status))
    rare = query.cause is not None or (status and Status.SUCCEEDED not in status)
    if bot_id is not None and not rare:
        return [_Way(None, row.bot_id, bot_id)]
    if bot_id is not None:
        # What has a cause has failed.
        return [_of_bot(each) for each in status or [Status.FAILED]]
    if query.cause is not None:
        return [_Way(row.workspace, row.cause, query.cause)]
    if status and (rare or query.trigger_kind is None):
        return [_Way(row.workspace, row.status, each) for each in status]
    if query.trigger_kind is not None:
        return [_Way(row.workspace, row.trigger_kind, query.trigger_kind)]
    return [_Way(None, row.workspace, query.workspace)]


def _of_bot(status: str) -> _Way:
    if status in _TROUBLES:
        return _Way(ExecutionRow.bot_id, ExecutionRow.status, status, _IN_TROUBLE)
    return _Way(ExecutionRow.workspace, ExecutionRow.status, status)
