"""What the engine writes of an execution that is claimed: its steps, and the ends of attempts.

All of it is conditional: it is accepted only from the worker and the attempt that hold the claim,
so that a worker which lost its lease, without knowing, changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codex32.engine.records import approvals, awaiting, cancelling, waking
from codex32.engine.records.advance import Advance, LogLine, StepRecord
from codex32.engine.records.happenings import Recorded
from codex32.engine.records.turns import turns_back
from codex32.kernel.batches import Insert, Update, any_of, listed, write_all
from codex32.kernel.database import announce, is_sqlite
from codex32.kernel.models import (
    AttemptRow,
    ExecutionRow,
    LogLineRow,
    StateRow,
    StepRow,
    database_proxy,
)
from codex32.kernel.statuses import FINAL, Status

#: Steps as they stand; a retry takes over what its predecessor finished.
STEPS = Insert(StepRow, ("execution_id", *StepRecord._fields), replace=True)
LOGS = Insert(LogLineRow, ("execution_id", *LogLine._fields))
#: Ended attempts: a worker writes its own, recovery those of workers that are gone.
ATTEMPTS = Insert(
    AttemptRow, ("execution_id", "number", "worker", "started_at", "ended_at", "outcome")
)
_STATE = Insert(StateRow, ("bot_id", "key", "value", "updated_at"), replace=True)
#: Written so that no index matches it: of a batch the rows are found by their ids, and not among
#: all that run, of which PostgreSQL believes there are few.
_RUNNING = "execution.status || '' = 'running'"
_ENDS = Update(
    ExecutionRow,
    # The time tells claims apart of which a crash of the database's machine has undone the first.
    keys=("id", "attempt", "worker", "attempt_at"),
    columns=(
        "status",
        "cause",
        "message",
        "output",
        "ready_at",
        "finished_at",
        "active_micros",
        "lease_at",
    ),
    guard=_RUNNING,
    kept=("message",),
)
#: Why an execution shall be cancelled is known from its message alone: it stays where somebody
#: asked for that meanwhile, whatever the execution goes to wait for.
_TELLS = Update(ExecutionRow, ("id",), ("message",), guard="execution.cancel_at IS NULL")
_TURNS = Update(ExecutionRow, keys=("id",), columns=("turn",))


def advance(items: Sequence[Advance]) -> list[bool]:
    """Record what many executions have to say; False for one whose claim is no longer held."""
    turns = _turns_back(items)
    held = _held(items)
    ours = [item for item in items if item.claim.id in held]
    ended = [item for item in ours if item.end is not None]
    _TELLS.write(
        (item.end.message, item.claim.id)
        for item in ended
        if item.end is not None and item.end.message and item.end.status not in FINAL
    )
    # A step's "running" and its end may meet in one commit: the later one counts.
    steps = {(i.claim.id, s.step, s.item): (i.claim.id, *s) for i in ours for s in i.steps}
    write_all(
        (STEPS, list(steps.values())),
        (LOGS, [(i.claim.id, *line) for i in ours for line in i.logs]),
        (ATTEMPTS, [_attempt(item) for item in ended]),
    )
    for item in ours:
        if item.state:
            _write_state(item)
        if item.closing is not None:
            # A cancellation is heeded by now; another one would cut the closing steps short.
            ExecutionRow.update(closing=item.closing, cancel_at=None).where(
                ExecutionRow.id == item.claim.id
            ).execute()
        if item.rate_at is not None:
            ExecutionRow.update(rate_at=item.rate_at).where(
                ExecutionRow.id == item.claim.id
            ).execute()
        if item.subscriptions:
            awaiting.subscribe(item.subscriptions)
        if item.stopped:
            cancelling.cancel_children(item.claim.id, item.stopped, item.stopped_at)
    _cancel_orphans(ours)
    _TURNS.write((turn, each) for each, turn in turns.items() if each in held)
    _after_ends(ended)
    if concerned := [item for item in ours if item.asks or item.asked or item.awaits]:
        approvals.follow(concerned)
    for item in ours:
        for event in item.events:
            announce(event)
    if told := [item for item in ours if item.steps or item.end is not None]:
        announce(Recorded(told))
    return [item.claim.id in held for item in items]


def _cancel_orphans(items: Sequence[Advance]) -> None:
    """What comes to its end leaves no children behind that an attempt before this had started."""
    ends = {
        item.claim.id: item.end.at if item.end else item.stopped_at
        for item in items
        if item.claim.attempt > 1
        and (item.closing is not None or (item.end and item.end.status in FINAL))
    }
    if ends:
        cancelling.cancel_orphans(ends, max(ends.values()))


def _turns_back(items: Sequence[Advance]) -> dict[str, int]:
    """The turns of the executions that are given back, by id."""
    back = [item.claim for item in items if item.end and item.end.status == Status.QUEUED]
    if not back:
        return {}
    now = max(item.end.at for item in items if item.end)
    turns = turns_back([(claim.bot_id, claim.priority, 0) for claim in back], now)
    return dict(zip([claim.id for claim in back], turns, strict=True))


def _held(items: Sequence[Advance]) -> set[str]:
    """The ids whose claims still hold; executions that end are moved in the same breath."""
    held = _ENDS.write([_end_values(item) for item in items if item.end is not None])
    going_on = {item.claim.id: item.claim for item in items if item.end is None}
    if going_on:
        lock = "" if is_sqlite() else " ORDER BY id FOR UPDATE"
        rows = database_proxy.execute_sql(
            "SELECT id, attempt, worker, attempt_at FROM execution "  # noqa: S608
            f"WHERE {any_of('id')} AND {_RUNNING}{lock}",
            (listed(going_on),),
        )
        for row_id, *held_by in rows.fetchall():
            claim = going_on[row_id]
            if [claim.attempt, claim.worker, claim.attempt_at] == held_by:
                held.add(row_id)
    return held


def _attempt(item: Advance) -> tuple[Any, ...]:
    end, claim = item.end, item.claim
    assert end is not None
    return (claim.id, claim.attempt, claim.worker, claim.attempt_at, end.at, end.outcome)


def _end_values(item: Advance) -> tuple[Any, ...]:
    end, claim = item.end, item.claim
    assert end is not None
    return (
        end.status,
        end.cause,
        end.message if end.status in FINAL else None,
        end.output,
        end.ready_at,
        end.at if end.status in FINAL else None,
        claim.active_micros + end.spent,
        None,
        claim.id,
        claim.attempt,
        claim.worker,
        claim.attempt_at,
    )


def _write_state(item: Advance) -> None:
    bot_id, now = item.claim.bot_id, item.end.at if item.end else item.steps[-1].finished_at
    _STATE.write([(bot_id, k, v, now) for k, v in item.state.items() if v is not None])
    gone = [key for key, value in item.state.items() if value is None]
    if gone:
        StateRow.delete().where((StateRow.bot_id == bot_id) & StateRow.key.in_(gone)).execute()


def _after_ends(items: Sequence[Advance]) -> None:
    parents, gate_names = set(), set()
    waiting: list[str] = []
    now = 0
    for item in items:
        claim, end = item.claim, item.end
        assert end is not None
        now = max(now, end.at)
        if end.status in FINAL:
            if claim.parent_id:
                parents.add(claim.parent_id)
            if claim.gate:
                gate_names.add(claim.gate)
        elif end.status == Status.QUEUED:
            announce(claim.id)
        else:
            waiting.append(claim.id)
            if end.children:
                waking.wake_if_child_ended(claim.id, end.children, end.at)
            if end.awaiting:
                awaiting.wake_if_answered(claim.id, end.awaiting, end.at)
    if waiting:
        waking.wake_cancelled(waiting, now)
    waking.settle(parents, gate_names, now)
