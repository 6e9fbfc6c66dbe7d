"""Executions as a stream looks at them: changes of the status, steps, log lines, from the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import peewee as pw

from codex32.kernel.batches import one_of
from codex32.kernel.database import fetch
from codex32.kernel.json_values import dumps, loads
from codex32.kernel.models import NO_ITEM, AttemptRow, ExecutionRow, LogLineRow, StepRow
from codex32.kernel.statuses import FINAL, FINAL_STEP, Status, StepStatus
from codex32.services.presentation import iso

#: What becomes of an execution after an attempt that does not end it.
_AFTER = {"waiting": Status.WAITING, "released": Status.QUEUED, "lost": Status.QUEUED}


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an execution's status; ``number`` counts up."""

    number: int
    status: str
    at: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step as it stands, or an item of it."""

    step: str
    item: int
    status: str
    tries: int
    error: str | None
    started_at: int | None
    finished_at: int | None

    @property
    def key(self) -> tuple[int, str, int]:
        """Finished steps are told in this order."""
        return (self.finished_at or 0, self.step, self.item)

    def as_json(self) -> str:
        """As a stream tells it."""
        # A long error stands in a file, which the route of the steps reads.
        error = loads(self.error) if self.error and not self.error.startswith("@") else None
        return dumps(
            {
                "step": self.step,
                "item": None if self.item == NO_ITEM else self.item,
                "status": self.status,
                "tries": self.tries,
                "error": error,
                "started_at": iso(self.started_at),
                "finished_at": iso(self.finished_at),
            }
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """An execution as its rows had it at one moment."""

    id: str
    workspace: str
    bot: str
    changes: Sequence[Change]
    finished: Sequence[Step]
    unfinished: Sequence[Step]
    cause: str | None = None
    message: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.changes[-1].status in FINAL

    def change_as_json(self, change: Change) -> str:
        """A change of the status as a stream tells it."""
        latest = change is self.changes[-1]
        return dumps(
            {
                "execution": self.id,
                "bot": self.bot,
                "status": change.status,
                "attempt": change.attempt,
                "at": iso(change.at),
                "cause": self.cause if latest else None,
                "message": self.message if latest else "",
            }
        )


class _Execution(NamedTuple):
    id: str
    workspace: str
    bot: str
    status: str
    attempt: int
    created_at: int
    attempt_at: int | None
    finished_at: int | None
    cause: str | None
    message: str


class _Attempt(NamedTuple):
    number: int
    started_at: int
    ended_at: int
    outcome: str


def standings(ids: Sequence[str]) -> dict[str, Standing]:
    """How executions stand; those that are gone are left out. Called on a reader thread."""
    # The execution first: what its rows tell afterwards is at least as new.
    rows = fetch(
        ExecutionRow.select(
            ExecutionRow.id,
            ExecutionRow.workspace,
            ExecutionRow.bot_name,
            ExecutionRow.status,
            ExecutionRow.attempt,
            ExecutionRow.created_at,
            ExecutionRow.attempt_at,
            ExecutionRow.finished_at,
            ExecutionRow.cause,
            ExecutionRow.message,
        ).where(one_of(ExecutionRow.id, ids))
    )
    attempts, steps = _attempts(ids), _steps(ids)
    return {
        row[0]: _standing(_Execution(*row), attempts.get(row[0], []), steps.get(row[0], []))
        for row in rows
    }


def _attempts(ids: Sequence[str]) -> dict[str, list[_Attempt]]:
    found: dict[str, list[_Attempt]] = {}
    query = AttemptRow.select(
        AttemptRow.execution_id,
        AttemptRow.number,
        AttemptRow.started_at,
        AttemptRow.ended_at,
        AttemptRow.outcome,
    ).where(one_of(AttemptRow.execution_id, ids))
    for row_id, *attempt in fetch(query.order_by(AttemptRow.number)):
        found.setdefault(row_id, []).append(_Attempt(*attempt))
    return found


def _steps(ids: Sequence[str]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for row_id, *step in fetch(
        StepRow.select(
            StepRow.execution_id,
            StepRow.step,
            StepRow.item,
            StepRow.status,
            StepRow.tries,
            StepRow.error,
            StepRow.started_at,
            StepRow.finished_at,
        ).where(one_of(StepRow.execution_id, ids))
    ):
        found.setdefault(row_id, []).append(Step(*step))
    return found


def _standing(row: _Execution, attempts: Sequence[_Attempt], steps: Sequence[Step]) -> Standing:
    finished = sorted((s for s in steps if s.status in FINAL_STEP), key=lambda s: s.key)
    begun = (s for s in steps if s.status not in FINAL_STEP and s.status != StepStatus.PENDING)
    unfinished = sorted(begun, key=lambda s: (s.step, s.item))
    return Standing(
        row.id,
        row.workspace,
        row.bot,
        _changes(row, attempts),
        finished,
        unfinished,
        row.cause,
        row.message,
    )


def _changes(row: _Execution, attempts: Sequence[_Attempt]) -> list[Change]:
    """Every change that the rows remember; what is added later never comes before what was."""
    changes = [Change(1, Status.QUEUED, row.created_at, 0)]
    for each in attempts:
        # An attempt that the execution's row does not have yet is told with the next look.
        if each.number > row.attempt or (
            each.number == row.attempt and row.status == Status.RUNNING
        ):
            continue
        changes.append(Change(2 * each.number, Status.RUNNING, each.started_at, each.number))
        if each.outcome in _AFTER:
            after = _AFTER[each.outcome]
            changes.append(Change(2 * each.number + 1, after, each.ended_at, each.number))
    if row.status == Status.RUNNING:
        began = row.attempt_at or row.created_at
        changes.append(Change(2 * row.attempt, Status.RUNNING, began, row.attempt))
    if row.status in FINAL:
        ended = row.finished_at or row.created_at
        changes.append(Change(2 * row.attempt + 2, row.status, ended, row.attempt))
    return changes


def lines_after(execution_id: str, after: int, until: int, limit: int) -> list[LogLineRow]:
    """An execution's log lines, in order; called on a reader thread."""
    mine = (LogLineRow.execution_id == execution_id) & (LogLineRow.id > after)
    query = LogLineRow.select().where(mine & (LogLineRow.id <= until))
    return list(query.order_by(LogLineRow.id).limit(limit))


def lines_of(ids: Sequence[str], after: int, until: int, limit: int) -> list[LogLineRow]:
    """The log lines of several executions, in order; called on a reader thread."""
    if not ids or until <= after:
        return []
    among: pw.Expression = one_of(LogLineRow.execution_id, ids)
    query = LogLineRow.select().where(among & (LogLineRow.id > after) & (LogLineRow.id <= until))
    return list(query.order_by(LogLineRow.id).limit(limit))
