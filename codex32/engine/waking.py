"""Waking an execution in the very commit that lets it wait, for what came just before."""

from __future__ import annotations

from collections.abc import Sequence

import peewee as pw

from codex32.kernel.database import announce
from codex32.kernel.models import ExecutionRow
from codex32.kernel.statuses import Status


def wake_if_child_ended(execution_id: str, children: Sequence[str], now: int) -> None:
    """A child that is waited for may have ended between the step's look and this commit.

    No time tells: a child that had written down its end, and not committed it, was seen alive.
    """
    child = ExecutionRow.alias()
    ended = child.select(pw.SQL("1")).where(
        child.id.in_(list(children)) & child.finished_at.is_null(False)
    )
    woken = (
        ExecutionRow.update(status=Status.QUEUED, ready_at=now)
        .where((ExecutionRow.id == execution_id) & pw.fn.EXISTS(ended))
        .execute()
    )
    if woken:
        announce(execution_id)


def wake_cancelled(ids: Sequence[str], now: int) -> None:
    """A cancellation that was not heard of before an execution went to wait, is heard now."""
    asked = (
        ExecutionRow.update(status=Status.QUEUED, ready_at=now)
        .where(ExecutionRow.id.in_(list(ids)) & ExecutionRow.cancel_at.is_null(False))
        .where(ExecutionRow.status == Status.WAITING)
        .returning(ExecutionRow.id)
    )
    for row in list(asked.execute()):
        announce(row.id)
