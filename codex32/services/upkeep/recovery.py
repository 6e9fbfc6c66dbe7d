"""Mending what was lost: dead workers' executions, bells nobody heard, gates nobody opened.

First a look, with reads alone, then the mending of what was found; a healthy house is never
written to. Every question is answered by an index over live executions, however long the
history is. Any number of processes may do it at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import peewee as pw

from codex32.engine.records import approvals, cancelling, claims, gates, record, waking
from codex32.engine.records.bot_types import types_of_bots
from codex32.engine.records.turns import turns_back
from codex32.kernel.clock import from_micros
from codex32.kernel.database import Door, announce, fetch, is_sqlite
from codex32.kernel.events import AttemptFinished, ExecutionFinished, WorkerLost
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import (
    NO_ITEM,
    ApprovalRow,
    AttemptRow,
    ExecutionRow,
    StepRow,
    VersionRow,
)
from codex32.kernel.statuses import Cause, Status, StepStatus

#: Most rows of each kind that one round looks after.
ROUND = 1000
#: No lease is as long as this.
FAR_MICROS = 1_800_000_000
#: A queued execution that waited this long may not have been heard of.
BELL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """What seems to need mending: ids of executions, and names of gates."""

    lapsed: Sequence[str] = ()
    due: bool = False
    gates: Sequence[str] = ()
    parents: Sequence[str] = ()
    unheard: Sequence[str] = ()
    asking: Sequence[str] = ()

    def __bool__(self) -> bool:
        others = self.gates or self.parents or self.unheard or self.asking
        return bool(self.lapsed or self.due or others)


@dataclass(slots=True)
class Mended:
    """What was done: how many of each.

    Attributes:
      requeued: Executions of dead workers that go on elsewhere.
      failed: Executions that workers died of too often.
      woken: Waiting executions whose time had come, or whose child had ended.
      rung: Queued executions that workers were told of once more.
      settled: Approvals of executions that had ended.
    """

    requeued: int = 0
    failed: int = 0
    woken: int = 0
    rung: int = 0
    settled: int = 0


async def recover(
    door: Door, now: int, *, max_deaths: int = 5, judge_leases: bool = True
) -> Mended:
    """Mend what was lost.

    Args:
      door: The database.
      now: The present, in microseconds.
      max_deaths: Workers that may die of an execution, since its last finished step, before it
        fails with cause ``lost``.
      judge_leases: False just after the clock has jumped: who lives has yet to say so.
    """
    found = await door.read(look, now)
    if not judge_leases:
        found = replace(found, lapsed=())
    return await door.write(lambda: mend(found, now, max_deaths)) if found else Mended()


def look(now: int) -> Found:
    """What seems to need mending."""
    return Found(
        lapsed=_ids(_lapsed(now)),
        due=_due(now).exists(),
        gates=gates.with_room(),
        parents=_ids(_parents_of_ended()),
        unheard=_ids(_unheard(now)),
        asking=_ids(ended_and_asking().limit(ROUND)),
    )


def mend(found: Found, now: int, max_deaths: int) -> Mended:
    """Mend those of ``found`` that still need it."""
    done = Mended()
    if found.lapsed:
        _mend_lapsed(found.lapsed, now, max_deaths, done)
    if found.due:
        done.woken += claims.wake(now)
    for gate in sorted(found.gates):
        gates.admit(gate, now)
    if found.parents:
        still = _parents_of_ended().where(ExecutionRow.id.in_(list(found.parents)))
        parents = set(_ids(still))
        done.woken += waking.wake(parents, now)
    for execution_id in found.unheard:
        announce(execution_id)
    done.rung = len(found.unheard)
    for execution_id in found.asking:
        done.settled += approvals.close(execution_id, now)
    return done


def _ids(query: pw.Query) -> list[str]:
    return [row[0] for row in fetch(query)]


def _lapsed(now: int) -> pw.ModelSelect[ExecutionRow]:
    """Executions whose worker has not been heard of until the end of its lease."""
    return (
        ExecutionRow.select(ExecutionRow.id)
        .where(_stands(Status.RUNNING) & _is_over(now))
        .limit(ROUND)
    )


def _stands(status: Status) -> pw.Expression:
    """The status, said in the statement: so alone SQLite sees that a partial index answers."""
    return ExecutionRow.status == pw.SQL(f"'{status.value}'")


def _is_over(now: int) -> pw.Expression:
    """A lease that has ended, or one from before the clock was put back."""
    return (ExecutionRow.lease_at < now) | (ExecutionRow.lease_at > now + FAR_MICROS)


def _due(now: int) -> pw.ModelSelect[ExecutionRow]:
    return ExecutionRow.select(ExecutionRow.id).where(
        _stands(Status.WAITING)
        & ExecutionRow.ready_at.is_null(False)
        & (ExecutionRow.ready_at <= now)
    )


def _parents_of_ended() -> pw.ModelSelect[ExecutionRow]:
    """Executions that wait for nothing but a child which has ended."""
    child = ExecutionRow.alias()
    # Notes that need a file are not looked into; no wait for a child is as long.
    token = "note ->> '$.wait.token'" if is_sqlite() else "note::json -> 'wait' ->> 'token'"
    waited_for = StepRow.select(pw.SQL(f"CASE WHEN note LIKE '{{%%' THEN {token} END")).where(
        (StepRow.execution_id == ExecutionRow.id) & (StepRow.status == StepStatus.WAITING)
    )
    # The offset has PostgreSQL look at each that waits, and not through all steps there are.
    ended = (
        child.select(pw.SQL("1"))
        .where(
            (child.parent_id == ExecutionRow.id)
            & child.finished_at.is_null(False)
            & child.id.in_(waited_for)
        )
        .offset(0)
    )
    return (
        ExecutionRow.select(ExecutionRow.id)
        .where(_stands(Status.WAITING) & ExecutionRow.ready_at.is_null())
        .where(pw.fn.EXISTS(ended))
        .limit(ROUND)
    )


def ended_and_asking() -> pw.ModelSelect[ApprovalRow]:
    """Ids of executions that have ended, and still have an open approval."""
    return (
        ApprovalRow.select(ApprovalRow.execution_id)
        .join(ExecutionRow, on=(ExecutionRow.id == ApprovalRow.execution_id))
        .where((ApprovalRow.status == approvals.PENDING) & ExecutionRow.finished_at.is_null(False))
        .distinct()
    )


def _unheard(now: int) -> pw.ModelSelect[ExecutionRow]:
    return (
        ExecutionRow.select(ExecutionRow.id)
        .where(
            _stands(Status.QUEUED)
            & ExecutionRow.ready_at.is_null(False)
            & (ExecutionRow.ready_at <= now - int(BELL_SECONDS * 1e6))
        )
        .order_by(ExecutionRow.priority.desc(), ExecutionRow.ready_at)
        .limit(ROUND)
    )


def _mend_lapsed(ids: Sequence[str], now: int, max_deaths: int, done: Mended) -> None:
    query = ExecutionRow.select().where(
        ExecutionRow.id.in_(list(ids)) & (ExecutionRow.status == Status.RUNNING) & _is_over(now)
    )
    if not is_sqlite():
        # One order for all who lock executions; a renewed lease is seen after the wait.
        query = query.order_by(ExecutionRow.id).for_update()
    rows = list(query)
    record.ATTEMPTS.write(
        [(r.id, r.attempt, r.worker, r.attempt_at, r.lease_at, "lost") for r in rows]
    )
    for worker in sorted({row.worker or "" for row in rows}):
        lost = tuple(row.id for row in rows if row.worker == worker)
        announce(WorkerLost(at=from_micros(now), worker=worker, executions=lost))
    deaths = _deaths([row.id for row in rows])
    turns = turns_back([(row.bot_id, row.priority, row.turn) for row in rows], now)
    failed, given_up = [], []
    for row, turn in zip(rows, turns, strict=True):
        announce(
            AttemptFinished(
                at=from_micros(now),
                workspace=row.workspace,
                execution_id=row.id,
                bot=row.bot_name,
                traceparent=row.traceparent,
                attempt=row.attempt,
                outcome="lost",
                duration_seconds=(now - (row.attempt_at or now)) / 1e6,
            )
        )
        if deaths[row.id] < max_deaths:
            _requeue(row, now, turn=turn)
            done.requeued += 1
            continue
        given_up.append(row.id)
        if row.closing is None and _has_last_words(row.version_id):
            _requeue(row, now, turn=turn, closing=dumps(_verdict(row, max_deaths)))
            done.requeued += 1
        else:
            _fail(row, now, max_deaths)
            failed.append(row)
    done.failed += len(failed)
    if given_up:
        cancelling.cancel_orphans(given_up, now)
    if rows:
        fault_point("mend.before_commit")
    parents = {row.parent_id for row in failed if row.parent_id}
    waking.settle(parents, {row.gate for row in failed if row.gate}, now)


def _deaths(ids: Sequence[str]) -> Mapping[str, int]:
    """How many attempts of each were lost since its last finished step."""
    finished = StepRow.select(pw.fn.MAX(StepRow.finished_at)).where(
        StepRow.execution_id == AttemptRow.execution_id
    )
    rows = fetch(
        AttemptRow.select(AttemptRow.execution_id, pw.fn.COUNT(AttemptRow.number))
        .where(
            AttemptRow.execution_id.in_(list(ids))
            & (AttemptRow.outcome == "lost")
            & (AttemptRow.ended_at > pw.fn.COALESCE(finished, 0))
        )
        .group_by(AttemptRow.execution_id)
    )
    return {**dict.fromkeys(ids, 0), **dict(rows)}


def _requeue(row: ExecutionRow, now: int, **values: Any) -> None:
    _leave(row, now, status=Status.QUEUED, ready_at=now, **values)
    announce(row.id)


def _fail(row: ExecutionRow, now: int, max_deaths: int) -> None:
    """End an execution, as it was going to end if only its last words were missing."""
    verdict = _verdict(row, max_deaths) if row.closing is None else loads(row.closing)
    status, cause = verdict["status"], verdict.get("cause")
    message = verdict.get("message") or ""
    _leave(row, now, status=status, cause=cause, message=message, finished_at=now)
    approvals.close(row.id, now)
    announce(
        ExecutionFinished(
            at=from_micros(now),
            workspace=row.workspace,
            execution_id=row.id,
            bot=row.bot_name,
            traceparent=row.traceparent,
            status=status,
            cause=cause,
            message=message,
            bot_type=types_of_bots([row.version_id]).get(row.version_id, ""),
            duration_seconds=(now - (row.started_at or now)) / 1e6,
        )
    )


def _leave(row: ExecutionRow, now: int, **values: Any) -> None:
    spent = max((row.lease_at or now) - (row.attempt_at or now), 0)
    ExecutionRow.update(
        lease_at=None, active_micros=ExecutionRow.active_micros + spent, **values
    ).where(ExecutionRow.id == row.id).execute()


def _verdict(row: ExecutionRow, max_deaths: int) -> dict[str, JSON]:
    step = (
        StepRow.select(StepRow.step)
        .where((StepRow.execution_id == row.id) & (StepRow.status == "running"))
        .order_by(StepRow.item == NO_ITEM)
        .scalar()
    )
    where = f" in step {step}" if step else ""
    return {
        "status": Status.FAILED.value,
        "cause": Cause.LOST.value,
        "message": f"{max_deaths} workers died{where}; its memory, or the machine's, may be short",
        "step": step,
    }


def _has_last_words(version_id: str) -> bool:
    """Whether the version has ``on_failure`` or ``finally`` steps, which are owed a try."""
    document = VersionRow.select(VersionRow.document).where(VersionRow.id == version_id).scalar()
    definition = loads(document) if document else {}
    return bool(definition.get("on_failure") or definition.get("finally"))
