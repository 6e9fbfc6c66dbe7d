"""Whether it is as an alert fears; each answered by an index, however long the history is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.bot import ALERT_NOTICES, Alert
from codex32.kernel.database import fetch
from codex32.kernel.ids import first_id
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import EventRow, ExecutionRow, TriggerRow
from codex32.kernel.statuses import Status
from codex32.kernel.text import format_duration

#: Executions that a rate is told from: the newest that ended.
MOST = 1000
#: Of what an event tells, in characters.
_LINE = 300
#: An id is made up to this long before its row, or after it by a clock that goes before.
_SLACK = 3_600_000_000
#: What is later than this says that the clock was put back since: it does not count, or it would
#: until the time has caught up.
_AHEAD = 60_000_000
#: For so long executions may go on, waiting included, and still count when they succeed.
_LONGEST = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """What was seen.

    Attributes:
      wrong: None where it cannot be told: an alert then stands as it stood.
      detail: For people.
    """

    wrong: bool | None
    detail: str = ""


def measure(row: AlertRow, alert: Alert, now: int) -> Measured:
    """Look at what an alert looks at."""
    return _KINDS[alert.kind](row, alert, now)


def _failure_rate(row: AlertRow, alert: Alert, now: int) -> Measured:
    since = now - int(alert.over_seconds * 1e6)
    newest = (
        ExecutionRow.select(ExecutionRow.status)
        .where(
            (ExecutionRow.bot_id == row.bot_id)
            & (ExecutionRow.id >= first_id("exe", since - _SLACK))
            & ExecutionRow.created_at.between(since, now + _AHEAD)
            & ExecutionRow.status.in_([Status.SUCCEEDED, Status.FAILED])
        )
        .order_by(ExecutionRow.id.desc())
        .limit(MOST)
        .alias("newest")
    )
    count = pw.fn.COUNT(newest.c.status)
    by_status = ExecutionRow.select(newest.c.status, count).from_(newest)
    counted = dict(fetch(by_status.group_by(newest.c.status)))
    failed = counted.get(Status.FAILED, 0)
    ended = failed + counted.get(Status.SUCCEEDED, 0)
    if not ended:
        return Measured(None)
    share = failed / ended
    told = f"{failed} of {ended} executions failed within {format_duration(alert.over_seconds)}"
    few = ended < alert.at_least and row.state == "ok"
    return Measured(share >= float(alert.limit) and not few, f"{told} ({share:.0%})")


def _no_success_for(row: AlertRow, alert: Alert, now: int) -> Measured:
    since = now - int(float(alert.limit) * 1e6)
    succeeded = (
        ExecutionRow.select(ExecutionRow.id)
        .where(
            (ExecutionRow.bot_id == row.bot_id)
            & (ExecutionRow.id >= first_id("exe", since - _LONGEST))
            & ExecutionRow.finished_at.between(since, now + _AHEAD)
            & (ExecutionRow.status == Status.SUCCEEDED)
        )
        .order_by(ExecutionRow.id.desc())
        .limit(1)
    )
    young = since < row.created_at <= now + _AHEAD
    period = format_duration(float(alert.limit))
    if fetch(succeeded):
        return Measured(False, f"an execution succeeded within {period}")
    return Measured(None if young else True, f"no execution has succeeded for {period}")


def _late_by(row: AlertRow, alert: Alert, now: int) -> Measured:
    due = TriggerRow.select(pw.fn.MIN(TriggerRow.next_at)).where(
        (TriggerRow.bot_id == row.bot_id) & TriggerRow.enabled & TriggerRow.next_at.is_null(False)
    )
    late = _ago(due.scalar(), now)
    told = f"a time of its triggers has waited for {_seconds(late)}" if late else "no time waits"
    return Measured(late >= float(alert.limit), told)


def _queued_for(row: AlertRow, alert: Alert, now: int) -> Measured:
    first = (
        ExecutionRow.select(ExecutionRow.created_at)
        .where(
            (ExecutionRow.bot_id == row.bot_id)
            & (ExecutionRow.status == Status.QUEUED)
            & ExecutionRow.ready_at.is_null(False)
        )
        .order_by(ExecutionRow.turn)
        .limit(1)
    )
    age = _ago(first.scalar(), now)
    told = f"an execution has been queued for {_seconds(age)}" if age else "none is queued"
    return Measured(age >= float(alert.limit), told)


def _event(row: AlertRow, alert: Alert, now: int) -> Measured:
    came = _events(row, alert, now, alert.at_least)
    count = len(came)
    few = "at least " if count == alert.at_least else ""
    often = "once" if count == 1 else f"{count} times"
    within = f"within {format_duration(alert.over_seconds)}"
    told = f"{alert.limit} came {few}{often} {within}"
    if count < alert.at_least:
        return Measured(False, told)
    about = _about(came[0])
    return Measured(True, f"{told}: {about}" if about else told)


def _no_event(row: AlertRow, alert: Alert, now: int) -> Measured:
    within = format_duration(alert.over_seconds)
    if _events(row, alert, now, 1):
        return Measured(False, f"{alert.limit} came within {within}")
    young = now - int(alert.over_seconds * 1e6) < row.created_at <= now + _AHEAD
    return Measured(None if young else True, f"{alert.limit} has not come for {within}")


def _events(row: AlertRow, alert: Alert, now: int, most: int) -> Sequence[str]:
    """The newest events that an alert is about, by id."""
    since = now - int(alert.over_seconds * 1e6)
    found = EventRow.select(EventRow.id).where(
        (EventRow.workspace == row.workspace)
        & (EventRow.name == str(alert.limit))
        & (EventRow.id >= first_id("evt", since - _SLACK))
        & EventRow.at.between(since, now + _AHEAD)
        # Else what tells of an alert would end it, or begin it anew, for ever.
        & ~EventRow.chain.contains(f'"{ALERT_NOTICES}"')
    )
    return [each for (each,) in fetch(found.order_by(EventRow.id.desc()).limit(most))]


def _about(event_id: str) -> str:
    """What an event tells, for a line: which worker, which budget."""
    data = loads(EventRow.select(EventRow.data).where(EventRow.id == event_id).scalar() or "{}")
    told = data.items() if isinstance(data, dict) else [("data", data)]
    line = ", ".join(f"{name}: {_plain(value)}" for name, value in told)
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"


def _plain(value: JSON) -> str:
    return value if isinstance(value, str) else dumps(value)


def _ago(moment: int | None, now: int) -> float:
    return 0.0 if moment is None else max(now - moment, 0) / 1e6


def _seconds(seconds: float) -> str:
    return format_duration(float(round(seconds)))


_KINDS: Mapping[str, Callable[[AlertRow, Alert, int], Measured]] = {
    "failure_rate": _failure_rate,
    "no_success_for": _no_success_for,
    "late_by": _late_by,
    "queued_for": _queued_for,
    "event": _event,
    "no_event": _no_event,
}
