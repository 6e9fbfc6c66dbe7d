"""Keeping what failed executions suffered from, soon after they failed.

The engine does not wait for it: schedulers do it beside their other work. Whoever asks before
them is told the same, made on the spot.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from codex32.kernel.database import Door
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import ExecutionRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Status
from codex32.services.executions.diagnosis import REMEDIES, Diagnosis, Trouble, diagnose

log = logging.getLogger(__name__)

#: Executions that are looked at together.
MANY = 50
_OWED = (ExecutionRow.status == Status.FAILED) & ExecutionRow.diagnosis.is_null()


async def keep_diagnoses(door: Door, payloads: PayloadStore) -> int:
    """Diagnose the newest failed executions that nobody has looked at yet; how many."""
    found = await door.read(_look, payloads)
    if found:
        await door.write(lambda: _keep(found))
    return len(found)


def told(row: ExecutionRow, payloads: PayloadStore) -> Mapping[str, JSON] | None:
    """What is kept of a failed execution, or would be; None for one that did not fail."""
    if row.diagnosis is not None:
        kept: dict[str, JSON] = loads(row.diagnosis)
        return {"beneath": None, **kept}  # which older ones do not say
    made = diagnose(row, payloads)
    return None if made is None else made.as_dict()


def _look(payloads: PayloadStore) -> Sequence[tuple[str, str]]:
    rows = ExecutionRow.select().where(_OWED).order_by(ExecutionRow.id.desc()).limit(MANY)
    return [(row.id, dumps(_surely(row, payloads).as_dict())) for row in rows]


def _surely(row: ExecutionRow, payloads: PayloadStore) -> Diagnosis:
    try:
        found = diagnose(row, payloads)
    except Exception:
        # One whose records are damaged must not keep the others from being looked at.
        about = {"workspace": row.workspace, "bot": row.bot_name, "execution": row.id}
        log.exception("the failure of %s cannot be made out", row.id, extra=about)
        found = None
    return found or Diagnosis(Trouble.UNKNOWN, REMEDIES[Trouble.UNKNOWN])


def _keep(found: Sequence[tuple[str, str]]) -> None:
    for execution_id, text in found:
        owed = (ExecutionRow.id == execution_id) & _OWED
        ExecutionRow.update(diagnosis=text).where(owed).execute()
