"""Keeping what failed executions suffered from, soon after they failed.

The engine does not wait for it: schedulers do it beside their other work. Whoever asks before
them is told the same, made on the spot.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from codex32.kernel.database import Door
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import ExecutionRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Status
from codex32.kernel.subject import Subject, subject
from codex32.kernel.tracing import TraceContext
from codex32.services.executions.diagnosis import (
    REMEDIES,
    Diagnosis,
    Trouble,
    diagnose,
    place,
    place_beneath,
)

log = logging.getLogger(__name__)

TraceOf: TypeAlias = Callable[[str, str | None], TraceContext]

#: Executions that are looked at together.
MANY = 50
_OWED = (ExecutionRow.status == Status.FAILED) & ExecutionRow.diagnosis.is_null()


async def keep_diagnoses(
    door: Door, payloads: PayloadStore, *, tell: bool = False, trace: TraceOf | None = None
) -> int:
    """Diagnose the newest failed executions that nobody has looked at yet; how many.

    Args:
      door: The way to the database.
      payloads: What is too long for rows.
      tell: Log a line of each.
      trace: The span of an execution, by its id and the trace context in its row.
    """
    found = await door.read(_look, payloads)
    if found:
        kept = await door.write(lambda: _keep(found))
        if tell:
            for row, diagnosis in kept:
                _tell(row, diagnosis, trace)
    return len(found)


def told(row: ExecutionRow, payloads: PayloadStore) -> Mapping[str, JSON] | None:
    """What is kept of a failed execution, or would be; None for one that did not fail."""
    if row.diagnosis is not None:
        kept: dict[str, JSON] = loads(row.diagnosis)
        return {"beneath": None, **kept}  # which older ones do not say
    made = diagnose(row, payloads)
    return None if made is None else made.as_dict()


def _look(payloads: PayloadStore) -> Sequence[tuple[ExecutionRow, Diagnosis]]:
    rows = ExecutionRow.select().where(_OWED).order_by(ExecutionRow.id.desc()).limit(MANY)
    return [(row, _surely(row, payloads)) for row in rows]


def _surely(row: ExecutionRow, payloads: PayloadStore) -> Diagnosis:
    try:
        found = diagnose(row, payloads)
    except Exception:
        # One whose records are damaged must not keep the others from being looked at.
        about = {"workspace": row.workspace, "bot": row.bot_name, "execution": row.id}
        log.exception("the failure of %s cannot be made out", row.id, extra=about)
        found = None
    return found or Diagnosis(Trouble.UNKNOWN, REMEDIES[Trouble.UNKNOWN])


def _keep(
    found: Sequence[tuple[ExecutionRow, Diagnosis]],
) -> Sequence[tuple[ExecutionRow, Diagnosis]]:
    """Keep them; those that no other scheduler has kept before."""

    def keep(row: ExecutionRow, diagnosis: Diagnosis) -> bool:
        owed = (ExecutionRow.id == row.id) & _OWED
        change = ExecutionRow.update(diagnosis=dumps(diagnosis.as_dict()))
        return bool(change.where(owed).execute())

    return [each for each in found if keep(*each)]


def _tell(row: ExecutionRow, diagnosis: Diagnosis, trace: TraceOf | None) -> None:
    span = None if trace is None else trace(row.id, row.traceparent)
    token = subject.set(Subject(row.workspace, row.bot_name, row.id, trace=span))
    told = diagnosis.as_dict()
    where = place_beneath(told) or place(told)
    about = diagnosis.trouble + (f", {where}" if where else "")
    try:
        log.warning("%s failed: %s (%s)", row.bot_name, row.message or row.cause, about)
    finally:
        subject.reset(token)
