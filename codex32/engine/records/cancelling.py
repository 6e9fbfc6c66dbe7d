"""Cancelling executions, many at a time, and with them the children they wait for.

What has not begun ends at once. What has begun may owe its ``finally`` steps: a worker brings it
to its end, told as soon as the commit is through. Functions here write rows, and are called
through ``Door.write``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from codex32.engine.records import waking
from codex32.engine.records.bot_types import types_of_bots
from codex32.engine.records.children import place_of
from codex32.kernel.batches import one_of
from codex32.kernel.clock import from_micros
from codex32.kernel.database import Stop, announce, fetch, is_sqlite
from codex32.kernel.events import ExecutionFinished
from codex32.kernel.json_values import loads
from codex32.kernel.models import ExecutionRow, StepRow
from codex32.kernel.statuses import Status, StepStatus

#: What a child reads whose parent was cancelled or ran out of time.
WITH_PARENT = "its parent was stopped"


@dataclass(slots=True)
class Cancelled:
    """What became of executions that were to be cancelled: their ids.

    Attributes:
      ended: Those that had not begun; they are cancelled.
      asked: Those that workers bring to their ends.
      over: Those that had ended before.
    """

    ended: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)


def cancel_many(ids: Collection[str], now: int, message: str) -> Cancelled:
    """Cancel executions and the children they wait for; ids that are not there are passed over.

    Args:
      ids: Up to some hundreds at once.
      now: The present, in microseconds.
      message: Why, for people.
    """
    done = Cancelled()
    _cancel(ids, now, message, done)
    children = _waited_for(done.asked)
    while children:
        below = Cancelled()
        _cancel(children, now, WITH_PARENT, below)
        children = _waited_for(below.asked)
    return done


def cancel_children(parent_id: str, places: Collection[tuple[str, int]], now: int) -> None:
    """Cancel the live children that these steps and items of an execution had started."""
    started = _started([parent_id])
    if ids := [child for child, (_, *place) in started.items() if tuple(place) in places]:
        cancel_many(ids, now, WITH_PARENT)


def cancel_orphans(parents: Collection[str], now: int) -> None:
    """Cancel the live children of executions that end, but those that finished steps have left.

    An attempt that was lost may have started some, and not have come to write that down.
    """
    started = _started(parents)
    if not started:
        return
    finished = StepRow.select(StepRow.execution_id, StepRow.step, StepRow.item).where(
        StepRow.execution_id.in_({parent for parent, _, _ in started.values()})
        & StepRow.step.in_({step for _, step, _ in started.values()})
        & StepRow.finished_at.is_null(False)
    )
    left = {tuple(place) for place in fetch(finished)}
    if orphans := [child for child, place in started.items() if place not in left]:
        cancel_many(orphans, now, WITH_PARENT)


def _started(parents: Collection[str]) -> dict[str, tuple[str, str, int]]:
    """The live children of executions, each with its parent, and the step and item of that."""
    children = ExecutionRow.select(
        ExecutionRow.id, ExecutionRow.parent_id, ExecutionRow.idempotency_key
    ).where(
        one_of(ExecutionRow.parent_id, parents)
        & ExecutionRow.idempotency_key.is_null(False)
        & ExecutionRow.finished_at.is_null()
    )
    return {
        child: (parent, *place)
        for child, parent, key in fetch(children)
        if (place := place_of(key)) is not None
    }


def _cancel(ids: Collection[str], now: int, message: str, done: Cancelled) -> None:
    query = ExecutionRow.select(
        ExecutionRow.id,
        ExecutionRow.workspace,
        ExecutionRow.bot_name,
        ExecutionRow.version_id,
        ExecutionRow.status,
        ExecutionRow.started_at,
        ExecutionRow.parent_id,
        ExecutionRow.gate,
        ExecutionRow.finished_at,
    ).where(ExecutionRow.id.in_(list(ids)))
    if not is_sqlite():
        # One order for all who lock executions.
        query = query.order_by(ExecutionRow.id).for_update()
    rows = list(query)
    done.over += [row.id for row in rows if row.finished_at is not None]
    live = [row for row in rows if row.finished_at is None]
    fresh = [row for row in live if row.started_at is None]
    begun = [row for row in live if row.started_at is not None]
    done.ended += [row.id for row in fresh]
    done.asked += [row.id for row in begun]
    if fresh:
        _end(fresh, now, message)
    if begun:
        _ask(begun, now, message)


def _end(rows: Sequence[ExecutionRow], now: int, message: str) -> None:
    ExecutionRow.update(
        status=Status.CANCELLED, message=message, cancel_at=now, finished_at=now, ready_at=None
    ).where(ExecutionRow.id.in_([row.id for row in rows])).execute()
    types = types_of_bots({row.version_id for row in rows})
    for row in rows:
        announce(
            ExecutionFinished(
                at=from_micros(now),
                workspace=row.workspace,
                execution_id=row.id,
                bot=row.bot_name,
                traceparent=row.traceparent,
                status=Status.CANCELLED,
                cause=None,
                message=message,
                bot_type=types.get(row.version_id, ""),
                duration_seconds=0.0,
            )
        )
    parents = {row.parent_id for row in rows if row.parent_id}
    waking.settle(parents, {row.gate for row in rows if row.gate}, now)


def _ask(rows: Sequence[ExecutionRow], now: int, message: str) -> None:
    ids = [row.id for row in rows]
    ExecutionRow.update(cancel_at=now, message=message).where(ExecutionRow.id.in_(ids)).execute()
    waiting = [row.id for row in rows if row.status == Status.WAITING]
    if waiting:
        waking.wake(waiting, now)
    for row in rows:
        if row.status == Status.RUNNING:
            announce(Stop(row.id))


def reason(execution_id: str) -> str:
    """Why an execution shall be cancelled, or empty where nobody asked."""
    asked = (ExecutionRow.id == execution_id) & ExecutionRow.cancel_at.is_null(False)
    return ExecutionRow.select(ExecutionRow.message).where(asked).scalar() or ""


def _waited_for(ids: Collection[str]) -> list[str]:
    """The children that steps of these executions wait for; not those that were only started."""
    if not ids:
        return []
    notes = fetch(
        StepRow.select(StepRow.note).where(
            StepRow.execution_id.in_(list(ids))
            & (StepRow.status == StepStatus.WAITING)
            & StepRow.note.is_null(False)
        )
    )
    # A note so long that it stands in a file is no child's.
    found = [token_of(loads(note)) for (note,) in notes if note.startswith("{")]
    tokens = [token for token in found if token is not None]
    children = ExecutionRow.select(ExecutionRow.id).where(
        ExecutionRow.id.in_(tokens)
        & ExecutionRow.parent_id.in_(list(ids))
        & ExecutionRow.finished_at.is_null()
    )
    return [row[0] for row in fetch(children)] if tokens else []


def token_of(note: object) -> str | None:
    """What a waiting step waits for, by its note."""
    wait = note.get("wait") if isinstance(note, dict) else None
    token = wait.get("token") if isinstance(wait, dict) else None
    return token if isinstance(token, str) else None
