"""Publishing events, and looking at those that were told lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from codex32.kernel.caller import DEFAULT_WORKSPACE, HOUSE, Caller
from codex32.kernel.clock import from_micros
from codex32.kernel.database import announce, fetch
from codex32.kernel.errors import EventInvalid, IdempotencyConflict
from codex32.kernel.event_names import LONGEST_DATA, matches, name_fault
from codex32.kernel.events import EventPublished
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import EventRow, SubscriptionRow
from codex32.services.bots.schedules import TriggerTypes
from codex32.services.events.outbox import EVENTS
from codex32.services.presentation import iso
from codex32.services.safe import audit
from codex32.services.triggers import listeners


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing.

    Attributes:
      repeated: It was published before, under the same key.
    """

    id: str
    repeated: bool = False


def check(name: str, data: JSON) -> None:
    """Refuse what cannot be published.

    Raises:
      EventInvalid: The name is not ``custom.*``, or the data are too long.
    """
    if fault := name_fault(name):
        raise EventInvalid(fault)
    if len(dumps(data)) > LONGEST_DATA:
        raise EventInvalid(
            f"the data are longer than {LONGEST_DATA // 1024} KiB as JSON; store them, and "
            "publish where they are"
        )


def publish(
    name: str,
    data: JSON,
    now: int,
    *,
    event_id: str,
    key: str | None = None,
    workspace: str = DEFAULT_WORKSPACE,
    by: Caller = HOUSE,
) -> Published:
    """Write an event, for whoever listens by the time it is delivered; called in a write.

    Args:
      name: ``custom.`` and more.
      data: Any JSON.
      now: The present, in microseconds.
      event_id: Made with ``new_id("evt")``; publishing twice with the same id is doing it once.
      workspace: Whose event it is.
      by: Who publishes it.
      key: Publishing again under the same key gives the event that is there.

    Raises:
      EventInvalid: The name is not ``custom.*``, or the data are too long.
      IdempotencyConflict: Under this key another event was published.
    """
    check(name, data)
    scoped = None if key is None else f"published:{key}"
    EVENTS.write([(event_id, workspace, name, now, dumps(data), "[]", scoped)])
    if scoped is not None:
        mine = (EventRow.workspace == workspace) & (EventRow.key == scoped)
        columns = (EventRow.id, EventRow.name, EventRow.data)
        ((there, *published),) = fetch(EventRow.select(*columns).where(mine))
        if published != [name, dumps(data)]:
            raise IdempotencyConflict(
                "another event was published under this idempotency key; take a new key"
            )
        if there != event_id:
            return Published(str(there), repeated=True)
    announce(
        EventPublished(
            at=from_micros(now),
            workspace=workspace,
            id=event_id,
            name=name,
            data=data,
            execution_id=None,
        )
    )
    audit.record(by, "event.published", name, now, change={"id": event_id}, workspace=workspace)
    return Published(event_id)


def listing(
    *,
    pattern: str | None = None,
    before: str | None = None,
    limit: int = 20,
    workspace: str = DEFAULT_WORKSPACE,
) -> list[EventRow]:
    """Events, newest first; those that nobody listened to were never written.

    Args:
      limit: Most events.
      pattern: Only events of such names.
      before: Only events with a smaller id: the last one of the page before.
      workspace: Only events of this workspace.
    """
    mine = EventRow.select().where(EventRow.workspace == workspace)
    found: list[EventRow] = []
    while len(found) < limit:
        query = mine.order_by(EventRow.id.desc()).limit(max(limit, 100))
        if before is not None:
            query = query.where(EventRow.id < before)
        page = list(query)
        found += [row for row in page if pattern is None or fnmatchcase(row.name, pattern)]
        if len(page) < max(limit, 100):
            break
        before = page[-1].id
    return found[:limit]


def as_dict(row: EventRow) -> dict[str, JSON]:
    """An event as plain data for JSON."""
    return {
        "id": row.id,
        "name": row.name,
        "at": iso(row.at),
        "data": loads(row.data),
        "chain": loads(row.chain),
        "delivered_at": iso(row.delivered_at),
    }


@dataclass(frozen=True, slots=True)
class Audience:
    """Who would be told of an event: bots by name, and executions that wait for it."""

    bots: Sequence[str]
    executions: Sequence[str]


def audience(name: str, types: TriggerTypes, *, workspace: str = DEFAULT_WORKSPACE) -> Audience:
    """Who listens to events of this name; conditions are not asked."""
    bots = {
        each.due.bot_name
        for each in listeners.event_listeners(types)
        if each.due.workspace == workspace and matches(name, each.pattern)
    }
    waits = SubscriptionRow.select(SubscriptionRow.execution_id, SubscriptionRow.pattern)
    open_ = SubscriptionRow.answer.is_null() & (SubscriptionRow.workspace == workspace)
    waiting = fetch(waits.where(open_))
    return Audience(
        sorted(bots), sorted({each for each, pattern in waiting if matches(name, pattern)})
    )
