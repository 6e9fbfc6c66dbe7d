"""Publishing events, and looking at those that were told lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from codex32.kernel.caller import DEFAULT_WORKSPACE, HOUSE, Caller
from codex32.kernel.clock import from_micros
from codex32.kernel.database import Door, announce, fetch
from codex32.kernel.errors import EventInvalid, IdempotencyConflict
from codex32.kernel.event_names import LONGEST_DATA, matches, name_fault
from codex32.kernel.events import EventPublished
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import EventRow, SubscriptionRow
from codex32.services.bots.schedules import TriggerTypes
from codex32.services.events.outbox import EVENTS
from codex32.services.presentation import iso
from codex32.services.triggers import listeners


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


@dataclass(frozen=True, slots=True)
class Publish:
    """The wish to publish an event, for whoever listens by the time it is delivered.

    Attributes:
      name: ``custom.`` and more.
      data: Any JSON.
      at: The present, in microseconds.
      id: Made with ``new_id("evt")``; publishing twice with the same id is doing it once.
      key: Publishing again under the same key gives the event that is there.
      workspace: Whose event it is.
      by: Who publishes it.

    Raises:
      EventInvalid: The name is not ``custom.*``, or the data are too long.
    """

    name: str
    data: JSON
    at: int
    id: str
    key: str | None = None
    workspace: str = DEFAULT_WORKSPACE
    by: Caller = HOUSE

    def __post_init__(self) -> None:
        check(self.name, self.data)


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing.

    Attributes:
      repeated: It was published before, under the same key.
    """

    id: str
    repeated: bool = False


async def publish(door: Door, wish: Publish) -> Published:
    """Publish an event; the answer comes after the commit.

    Raises:
      IdempotencyConflict: Under this key another event was published.
    """
    return _told(await door.write_many(publish_many, wish))


def publish_now(door: Door, wish: Publish) -> Published:
    """Like :func:`publish`, for threads without an event loop."""
    return _told(door.write_many_now(publish_many, wish))


def _told(answer: Published | IdempotencyConflict) -> Published:
    if isinstance(answer, IdempotencyConflict):
        raise answer
    return answer


def publish_many(wishes: Sequence[Publish]) -> list[Published | IdempotencyConflict]:
    """Publish all of them, each by itself: a batch for ``Door.write_many``."""
    EVENTS.write([_row(wish) for wish in wishes if wish.key is not None])
    return [_publish(wish) for wish in wishes]


def _row(wish: Publish) -> tuple[str | int | None, ...]:
    scoped = f"published:{wish.key}"
    by = dumps(wish.by.told())
    return (wish.id, wish.workspace, wish.name, wish.at, dumps(wish.data), "[]", scoped, by)


def _publish(wish: Publish) -> Published | IdempotencyConflict:
    if wish.key is not None and (earlier := _earlier(wish)) is not None:
        return earlier
    # The outbox writes it, with all others of this commit.
    announce(
        EventPublished(
            at=from_micros(wish.at),
            workspace=wish.workspace,
            id=wish.id,
            name=wish.name,
            data=wish.data,
            execution_id=None,
            by=wish.by.told(),
        )
    )
    return Published(wish.id)


def _earlier(wish: Publish) -> Published | IdempotencyConflict | None:
    """What was published before under the key of ``wish``, whose row was just written."""
    mine = (EventRow.workspace == wish.workspace) & (EventRow.key == f"published:{wish.key}")
    columns = (EventRow.id, EventRow.name, EventRow.data)
    ((there, *published),) = fetch(EventRow.select(*columns).where(mine))
    if published != [wish.name, dumps(wish.data)]:
        return IdempotencyConflict(
            "another event was published under this idempotency key; take a new key"
        )
    return None if there == wish.id else Published(str(there), repeated=True)


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
        "published_by": row.published_by and loads(row.published_by),
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
