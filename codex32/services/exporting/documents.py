"""Ended executions with their log lines, and events, as documents of the Elastic Common Schema.

What a document is called is made of what it tells of, so that telling twice is telling once.
Values, such as inputs and outputs, stay here; messages and lines are told as they are recorded,
masked.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass, replace
from typing import Any

import peewee as pw

from codex32.kernel.clock import from_micros
from codex32.kernel.database import Door
from codex32.kernel.json_values import JSON
from codex32.kernel.models import EventRow, ExecutionRow, LogLineRow
from codex32.kernel.statuses import Status

#: Executions, lines or events that are read at once.
PAGE = 500
#: What was recorded side by side may be seen out of order: so far back it is told once more.
_BACK_MICROS, _BACK_EVENTS = 60_000_000, 1000
#: So far where the clock was put back, as nothing tells when: what ended since looks older.
_PUT_BACK_MICROS = 86_400_000_000
_ECS_VERSION = "8.17.0"
_OUTCOMES: dict[str, str] = {Status.SUCCEEDED: "success", Status.FAILED: "failure"}


@dataclass(frozen=True, slots=True)
class Mark:
    """How far was told. ``ended`` in microseconds, with the execution's id; events by number."""

    ended: int = 0
    execution: str = ""
    event: int = 0

    def back(self) -> Mark:
        """Where to go on from another time."""
        ended = max(self.ended - _BACK_MICROS, 0)
        return Mark(ended=ended, event=max(self.event - _BACK_EVENTS, 0))


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Attributes:
      kind: ``executions``, ``logs`` or ``events``.
      id: Within its kind.
    """

    kind: str
    id: str
    body: dict[str, JSON]


def waiting(mark: Mark, since: int, until: int) -> int:
    """How many executions and events :func:`pages` tells of."""
    mark = _in_time(mark, until)
    ended, events = _ended(mark, since, until), _told(mark, since, _last_event())
    return int(ended.count()) + int(events.count())


async def pages(
    door: Door, mark: Mark, since: int, until: int
) -> AsyncGenerator[tuple[list[Document], Mark, int], None]:
    """What lies behind ``mark`` and from ``since`` to ``until`` (microseconds), oldest first.

    ``until`` is the present: whoever ran after what goes on meanwhile might never end.

    Yields:
      Some hundreds of documents; how far all is told with them; executions and events among them.
    """
    mark = _in_time(mark, until)
    # By number: one whose time lies ahead, of another clock or of this one before it was put
    # back, would else be passed over for ever.
    last = await door.read(_last_event)
    while rows := await door.read(_page, _ended(mark, since, until)):
        async for lines in _lines(door, rows):
            yield lines, mark, 0
        mark = replace(mark, ended=rows[-1].finished_at, execution=rows[-1].id)
        yield [_execution(row) for row in rows], mark, len(rows)
    while events := await door.read(_page, _told(mark, since, last)):
        mark = replace(mark, event=events[-1].seq)
        yield [_event(row) for row in events], mark, len(events)


def _in_time(mark: Mark, until: int) -> Mark:
    if mark.ended <= until:
        return mark
    return replace(mark, ended=max(until - _PUT_BACK_MICROS, 0), execution="")


def _page(found: pw.ModelSelect[Any]) -> list[Any]:
    return list(found.limit(PAGE))


def _ended(mark: Mark, since: int, until: int) -> pw.ModelSelect[Any]:
    row = ExecutionRow
    same = (row.finished_at == mark.ended) & (row.id > mark.execution)
    behind = (row.finished_at > mark.ended) | same
    # The first condition alone is answered by the index.
    wanted = row.finished_at.between(max(mark.ended, since), until) & behind
    return row.select().where(wanted).order_by(row.finished_at, row.id)


def _last_event() -> int:
    return int(EventRow.select(pw.fn.MAX(EventRow.seq)).scalar() or 0)


def _told(mark: Mark, since: int, last: int) -> pw.ModelSelect[Any]:
    wanted = (EventRow.seq > mark.event) & (EventRow.seq <= last) & (EventRow.at >= since)
    return EventRow.select().where(wanted).order_by(EventRow.seq)


async def _lines(door: Door, rows: Iterable[ExecutionRow]) -> AsyncIterator[list[Document]]:
    """The lines of all of them; those of many that have few go together."""
    found: list[Document] = []
    for row in rows:
        last = 0
        while lines := await door.read(_after, row.id, last):
            last = lines[-1].id
            found += [_line(line, row) for line in lines]
            if len(found) >= PAGE:
                yield found
                found = []
    if found:
        yield found


def _after(execution_id: str, last: int) -> list[LogLineRow]:
    mine = (LogLineRow.execution_id == execution_id) & (LogLineRow.id > last)
    return list(LogLineRow.select().where(mine).order_by(LogLineRow.id).limit(PAGE))


def _execution(row: ExecutionRow) -> Document:
    ended = row.finished_at or 0
    began = ended if row.started_at is None else row.started_at
    return Document(
        "executions",
        row.id,
        {
            **_common(ended, "executions"),
            **_about(row),
            "message": row.message,
            "event.outcome": _OUTCOMES.get(row.status, "unknown"),
            "event.start": from_micros(began).isoformat(),
            "event.duration": (ended - began) * 1000,
            "codex32.version": row.version_number,
            "codex32.status": row.status,
            "codex32.cause": row.cause,
            "codex32.trigger": row.trigger_kind,
            "codex32.attempts": row.attempt,
        },
    )


def _line(line: LogLineRow, row: ExecutionRow) -> Document:
    return Document(
        "logs",
        f"{row.id}:{line.id}",
        {
            **_common(line.at, "logs"),
            **_about(row),
            "log.level": line.level,
            "message": line.message,
            "codex32.step": line.step,
            "codex32.fields": line.fields,
        },
    )


def _event(row: EventRow) -> Document:
    return Document(
        "events",
        row.id,
        {
            **_common(row.at, "events"),
            "codex32.workspace": row.workspace,
            "event.action": row.name,
            "codex32.data": row.data,
        },
    )


def _common(at: int, kind: str) -> dict[str, JSON]:
    return {
        "@timestamp": from_micros(at).isoformat(),
        "ecs.version": _ECS_VERSION,
        "service.name": "codex32",
        "event.kind": "event",
        "event.dataset": f"codex32.{kind}",
    }


def _about(row: ExecutionRow) -> dict[str, JSON]:
    return {
        "codex32.workspace": row.workspace,
        "codex32.bot": row.bot_name,
        "codex32.execution.id": row.id,
    }
