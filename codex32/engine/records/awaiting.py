"""Steps that wait for an event: the row that says so, and the event once it came.

The row is written with the waiting step, so from that commit on no such event is missed: whoever
delivers one afterwards finds the row. The answer is written in the transaction that delivers the
event and wakes the execution; nobody can do the one without the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import peewee as pw

from codex32.engine.records import waking
from codex32.kernel.batches import Insert
from codex32.kernel.database import fetch
from codex32.kernel.event_names import matches
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import EventRow, SubscriptionRow
from codex32.kernel.outcomes import EventAwaited


@dataclass(frozen=True, slots=True)
class Subscription:
    """That a step, or an item of it, waits for an event from now on."""

    workspace: str
    execution_id: str
    step: str
    item: int
    awaited: EventAwaited
    at: int


_ROWS = Insert(
    SubscriptionRow,
    (
        "execution_id",
        "step",
        "item",
        "workspace",
        "pattern",
        "condition",
        "given",
        "earlier",
        "created_at",
        "answer",
    ),
    replace=True,
)


def subscribe(subscriptions: Sequence[Subscription]) -> None:
    """Write that steps wait; in the transaction that records them as waiting."""
    # What is there already happened before the wait, also where nobody has delivered it yet.
    pending = fetch(
        EventRow.select(EventRow.workspace, EventRow.id, EventRow.name).where(
            EventRow.delivered_at.is_null()
        )
    )
    rows = []
    for each in subscriptions:
        pattern = each.awaited.pattern
        earlier = [
            event_id
            for workspace, event_id, name in pending
            if workspace == each.workspace and matches(name, pattern)
        ]
        rows.append(
            (
                each.execution_id,
                each.step,
                each.item,
                each.workspace,
                pattern,
                each.awaited.condition,
                dumps(dict(each.awaited.values)),
                dumps(earlier),
                each.at,
                None,
            )
        )
    _ROWS.write(rows)


def answer_of(execution_id: str, step: str, item: int) -> JSON:
    """The event that came for a waiting step, or None."""
    mine = (
        (SubscriptionRow.execution_id == execution_id)
        & (SubscriptionRow.step == step)
        & (SubscriptionRow.item == item)
    )
    text = SubscriptionRow.select(SubscriptionRow.answer).where(mine).scalar()
    return None if text is None else loads(text)


def wake_if_answered(execution_id: str, places: Iterable[tuple[str, int]], now: int) -> None:
    """Queue an execution that goes to wait, if its event came while it was still under way.

    ``places`` are the steps and items that wait; the answers of those that are over stay.
    """
    waits = [
        (SubscriptionRow.step == step) & (SubscriptionRow.item == item) for step, item in places
    ]
    answered = (
        (SubscriptionRow.execution_id == execution_id)
        & SubscriptionRow.answer.is_null(False)
        & reduce(or_, waits)
    )
    if SubscriptionRow.select(pw.SQL("1")).where(answered).exists():
        waking.wake([execution_id], now)
