"""Executions that steps of others had started, and the effects that were sent on the way."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from codex32.engine.records.children import place_of
from codex32.engine.records.parts import step_of
from codex32.kernel.database import fetch
from codex32.kernel.models import ExecutionRow, StepRow
from codex32.kernel.outcomes import Effect
from codex32.kernel.statuses import StepStatus


def children(ids: Sequence[str]) -> list[tuple[str, str, int]]:
    """What executions had started: each child's id, and the step and item that asked for it."""
    rows = fetch(
        ExecutionRow.select(ExecutionRow.id, ExecutionRow.idempotency_key).where(
            ExecutionRow.parent_id.in_(list(ids)) & ExecutionRow.idempotency_key.is_null(False)
        )
    )
    places = [(child, place_of(key)) for child, key in rows]
    return [(child, *place) for child, place in places if place is not None]


def descendants(ids: Sequence[str]) -> list[str]:
    """What executions had started, and what these had started in turn."""
    below = [child for child, _, _ in children(ids)]
    return [*below, *descendants(below)] if below else []


def _steps_that_sent(execution_id: str, spared: Collection[tuple[str, int]]) -> list[str]:
    """Steps whose children, or theirs, sent effects; but for the steps and items ``spared``."""
    found = []
    for child, step, item in children([execution_id]):
        if (step_of(step), item) in spared:
            continue
        sent = StepRow.select().where(
            StepRow.execution_id.in_([child, *descendants([child])])
            & (StepRow.effect == Effect.ONCE)
            & (StepRow.status == StepStatus.SUCCEEDED)
        )
        if sent.exists():
            found.append(step_of(step))
    return found


def sent_again(
    execution_id: str, records: Sequence[StepRow], rows: Sequence[StepRow]
) -> tuple[str, ...]:
    """The steps whose effects were sent, by them or their children, and would be once more."""
    spared = {(each.step, each.item) for each in rows if each.status != StepStatus.PENDING}
    sent = [
        step_of(each.step)
        for each in records
        if (each.effect, each.status) == (Effect.ONCE, StepStatus.SUCCEEDED)
        and (step_of(each.step), each.item) not in spared
    ]
    return tuple(dict.fromkeys(sent + _steps_that_sent(execution_id, spared)))
