"""Limits on how many executions run at once.

An execution may stand behind a *gate*, a text that names what it shares with others: a bot's
concurrency key, or a trigger whose occurrences queue. A gate lets ``gate_limit`` of its
executions in; the rest stay ``queued`` without a time at which they may run, hold no worker and
no place in the queue, and are let in when one inside ends: by priority, then oldest first.
"""

from __future__ import annotations

import peewee as pw

from codex32.kernel.database import announce, is_sqlite
from codex32.kernel.models import ExecutionRow, database_proxy


def lock(gate: str) -> None:
    """Hold the gate until the transaction ends; on SQLite the transaction holds everything."""
    if not is_sqlite():
        database_proxy.execute_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 32))", (gate,)
        )


def inside(gate: str) -> int:
    """How many executions the gate has let in that have not ended."""
    rows = _live(gate).where(ExecutionRow.admitted)
    return int(rows.count())


def outside(gate: str, priority: int) -> int:
    """How many executions wait before the gate, but for those that others may overtake."""
    rows = _live(gate).where(~ExecutionRow.admitted & (ExecutionRow.priority >= priority))
    return int(rows.count())


def admit(gate: str, now: int) -> None:
    """Let in as many as have room; call it where one of the gate's executions ended."""
    lock(gate)
    held = _live(gate).where(~ExecutionRow.admitted)
    held = held.order_by(ExecutionRow.priority.desc(), ExecutionRow.id)
    first = held.first()
    if first is None:
        return
    taken = inside(gate)
    # Each has a limit of its own: one that waits its turn asks for an empty gate.
    for row in held.limit(first.gate_limit or 1):
        if taken >= (row.gate_limit or 1):
            break
        ExecutionRow.update(admitted=True, ready_at=now).where(ExecutionRow.id == row.id).execute()
        announce(row.id)
        taken += 1


def _live(gate: str) -> pw.ModelSelect[ExecutionRow]:
    # The partial index on live executions answers this, however long the history is.
    return ExecutionRow.select().where(
        (ExecutionRow.gate == gate) & ExecutionRow.finished_at.is_null()
    )
