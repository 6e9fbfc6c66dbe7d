"""Looking for what should not be in the database: ``codex32 db check``."""

from __future__ import annotations

from typing import Any

import peewee as pw

from codex32.engine.records import approvals
from codex32.kernel.database import fetch
from codex32.kernel.models import (
    ApprovalRow,
    AttemptRow,
    BotRow,
    ExecutionRow,
    LogLineRow,
    Row,
    StepRow,
    TriggerRow,
    VersionRow,
)
from codex32.kernel.problems import Problem
from codex32.kernel.statuses import FINAL, Status, StepStatus
from codex32.services.safe import audit_chain
from codex32.services.safe.keyring import KeyMissing
from codex32.services.upkeep import collections
from codex32.services.upkeep.recovery import ended_and_asking
from codex32.services.upkeep.references import REFERENCES, damaged, strangers, unsealable

_SHOWN = 5


def check(now: int) -> list[Problem]:
    """Everything that is wrong with the rows; it reads all of them, so it takes its time.

    What recovery mends by itself is told, too, as it stands at ``now`` (microseconds).
    """
    found = [
        *_orphans(),
        *_told(
            _without(ExecutionRow, VersionRow, ExecutionRow.version_id == VersionRow.id),
            "execution",
            "executions of versions that are not there; they cannot be retried",
        ),
        *_told(
            _without(TriggerRow, BotRow, TriggerRow.bot_id == BotRow.id),
            "trigger",
            "triggers of bots that are not there; delete them",
        ),
        *_told(
            _without(BotRow, VersionRow, BotRow.active_version_id == VersionRow.id).where(
                BotRow.active_version_id.is_null(False)
            ),
            "bot",
            "bots whose live version is not there; save their files again",
        ),
    ]
    for query, kind, message in (
        *_executions(now),
        *_approvals(),
        *_triggers(),
        *unsealable(),
        *collections.faults(),
    ):
        found += _told(query, kind, message)
    for each in REFERENCES:
        found += _told(each.broken, each.row._meta.table_name, each.message)
    found += _told(strangers(), "bot", "bots whose version is another bot's; save them again")
    return [*found, *_damaged(), *_chain()]


def _damaged() -> list[Problem]:
    """Versions that are not what they were; few are shown, all are counted."""
    ids = list(damaged())
    if not ids:
        return []
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    message = f"versions whose definition was changed in the database: {', '.join(ids[:_SHOWN])}"
    return [Problem(f"{message}{more}", path="bot_version", code="integrity")]


def _chain() -> list[Problem]:
    try:
        verdict = audit_chain.verify()
    except KeyMissing as error:
        return [Problem(error.message, path="audit", code="integrity")]
    if verdict.broken is None:
        return []
    message = f"the audit log is broken at entry {verdict.broken}: {verdict.reason}"
    return [Problem(message, path="audit", code="integrity")]


def _orphans() -> list[Problem]:
    found = []
    for kind in (StepRow, ApprovalRow, AttemptRow, LogLineRow):
        name = kind._meta.table_name.replace("_", " ")
        query = _without(kind, ExecutionRow, kind.execution_id == ExecutionRow.id)
        query = query.select(kind.execution_id).distinct()
        found += _told(query, kind._meta.table_name, f"{name} rows without their execution")
    return found


def _executions(now: int) -> list[tuple[pw.ModelSelect[Any], str, str]]:
    execution = ExecutionRow.select(ExecutionRow.id)
    final = ExecutionRow.status.in_([status.value for status in FINAL])
    known = ExecutionRow.status.in_([status.value for status in Status])
    running = ExecutionRow.status == Status.RUNNING
    faults = [
        (~known, "executions of an unknown status"),
        (final & ExecutionRow.finished_at.is_null(), "ended executions without an end"),
        (
            ~final & ExecutionRow.finished_at.is_null(False),
            "executions with an end that have not ended",
        ),
        (
            running & (ExecutionRow.worker.is_null() | ExecutionRow.lease_at.is_null()),
            "running executions that no worker holds",
        ),
        (
            running & (ExecutionRow.lease_at < now),
            "running executions whose lease has ended; a running scheduler mends this",
        ),
        (
            (ExecutionRow.status == Status.QUEUED)
            & ExecutionRow.ready_at.is_null()
            & ExecutionRow.admitted,
            "queued executions that nothing will ever start",
        ),
    ]
    return [(execution.where(fault), "execution", message) for fault, message in faults]


def _approvals() -> list[tuple[pw.ModelSelect[Any], str, str]]:
    known = ApprovalRow.status.in_(list(approvals.STATUSES))
    pending = ApprovalRow.status == approvals.PENDING
    approval = ApprovalRow.select(ApprovalRow.id)
    waits = (
        (StepRow.execution_id == ApprovalRow.execution_id)
        & (StepRow.step == ApprovalRow.step)
        & (StepRow.item == ApprovalRow.item)
        & (StepRow.status == StepStatus.WAITING)
    )
    return [
        (
            ended_and_asking(),
            "approval",
            "ended executions with an open approval; a running scheduler mends this",
        ),
        (approval.where(~known), "approval", "approvals of an unknown status"),
        (
            approval.where(pending & ~pw.fn.EXISTS(StepRow.select(pw.SQL("1")).where(waits))),
            "approval",
            "open approvals whose step does not wait for them",
        ),
        (
            approval.where(pending & ApprovalRow.decided_at.is_null(False)),
            "approval",
            "open approvals that were decided",
        ),
    ]


def _triggers() -> list[tuple[pw.ModelSelect[Any], str, str]]:
    of_removed = (
        TriggerRow.select(TriggerRow.id)
        .join(BotRow, on=(BotRow.id == TriggerRow.bot_id))
        .where(TriggerRow.enabled & (BotRow.removed_at.is_null(False) | ~BotRow.enabled))
    )
    return [(of_removed, "trigger", "live triggers of bots that are removed or disabled")]


def _without(kind: type[Row], other: type[Row], same: pw.Expression) -> pw.ModelSelect[Row]:
    """Rows of ``kind`` for which there is no ``other``."""
    there = other.select(pw.SQL("1")).where(same)
    return kind.select(kind._meta.primary_key).where(~pw.fn.EXISTS(there))


def _told(query: pw.ModelSelect[Any], kind: str, message: str) -> list[Problem]:
    ids = [str(row[0]) for row in fetch(query.limit(_SHOWN + 1))]
    if not ids:
        return []
    # There may be millions, so the database counts them.
    more = f" and {query.count() - _SHOWN} more" if len(ids) > _SHOWN else ""
    return [Problem(f"{message}: {', '.join(ids[:_SHOWN])}{more}", path=kind, code="integrity")]
