"""Waking executions that wait: what they waited for came, or nobody waits for them any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import peewee as pw

from codex32.engine.records import gates
from codex32.engine.records.turns import turns_back
from codex32.kernel.batches import Update
from codex32.kernel.database import announce, fetch, is_sqlite
from codex32.kernel.models import ExecutionRow
from codex32.kernel.statuses import Status

_WAKE = Update(
    ExecutionRow,
    keys=("id",),
    columns=("status", "ready_at", "message", "turn"),
    guard="execution.status = 'waiting'",
)


def wake(ids: Collection[str], now: int) -> int:
    """Queue those of ``ids`` that wait, and let workers know; how many.

    They join the queue at its head: what has begun goes on before its bot begins more.
    """
    rows = ExecutionRow.select(
        ExecutionRow.id,
        ExecutionRow.bot_id,
        ExecutionRow.priority,
        ExecutionRow.turn,
        ExecutionRow.message,
        ExecutionRow.cancel_at,
        ExecutionRow.status,
    ).where(ExecutionRow.id.in_(list(ids)))
    if not is_sqlite():
        # One order for all who lock executions. One that is just going to wait is waited for:
        # else both would look too early.
        rows = rows.order_by(ExecutionRow.id).for_update()
    waiting = [row for row in rows if row.status == Status.WAITING]
    if not waiting:
        return 0
    turns = turns_back([(row.bot_id, row.priority, row.turn) for row in waiting], now)
    _WAKE.write(
        # Of one that shall be cancelled the message says why.
        (Status.QUEUED, now, "" if row.cancel_at is None else row.message, turn, row.id)
        for row, turn in zip(waiting, turns, strict=True)
    )
    for row in waiting:
        announce(row.id)
    return len(waiting)


def wake_if_child_ended(execution_id: str, children: Sequence[str], now: int) -> None:
    """A child that is waited for may have ended between the step's look and this commit.

    No time tells: a child that had written down its end, and not committed it, was seen alive.
    """
    ended = ExecutionRow.id.in_(list(children)) & ExecutionRow.finished_at.is_null(False)
    if ExecutionRow.select(pw.SQL("1")).where(ended).exists():
        wake([execution_id], now)


def wake_cancelled(ids: Sequence[str], now: int) -> None:
    """A cancellation that was not heard of before an execution went to wait, is heard now."""
    asked = ExecutionRow.id.in_(list(ids)) & ExecutionRow.cancel_at.is_null(False)
    if found := fetch(ExecutionRow.select(ExecutionRow.id).where(asked)):
        wake([row[0] for row in found], now)


def settle(parents: set[str], gate_names: set[str], now: int) -> None:
    """Do for others what follows from the end of executions: wake parents, open gates."""
    if parents:
        wake(parents, now)
    for gate in sorted(gate_names):
        gates.admit(gate, now)
