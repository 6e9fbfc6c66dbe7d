"""Events are answered afterwards by bots that were not there, were paused, or had faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from codex32 import ManualClock
from codex32.kernel.clock import from_micros
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.models import EventRow, ExecutionRow, OccurrenceRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots import bots
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.written import Stored
from codex32.services.events import events
from codex32.services.events.outbox import Outbox
from codex32.services.events.routing import Router
from codex32.services.triggers.backfill import PRIORITY, Backfill, Backfiller, Filled, Gap
from codex32.services.triggers.triggers import Ticker

HOUR = 3_600_000_000
PAID = "name: ping\ntriggers: [{event: custom.paid}]"


@pytest.fixture
def door(open_door: Callable[..., Door], components: Components, payloads: PayloadStore) -> Door:
    return open_door(outbox=Outbox(components.trigger_types, payloads).keep)


@pytest.fixture
def route(
    door: Door, components: Components, definitions: Definitions, payloads: PayloadStore, now: int
) -> Callable[[], Any]:
    router = Router(components.trigger_types, definitions, payloads)
    return lambda: asyncio.run(router.run(door, now))


@pytest.fixture
def publish(door: Door, now: int) -> Callable[..., list[str]]:
    """Publishes events with the numbers as data, in this order; the last has the oldest time."""

    def published(*numbers: int, name: str = "custom.paid", **options: Any) -> list[str]:
        wishes = [
            events.Publish(name, n, now - place, new_id("evt", now=lambda: now / 1e6), **options)
            for place, n in enumerate(numbers)
        ]
        return [each.id for each in door.write_now(lambda: events.publish_many(wishes))]

    return published


@pytest.fixture
def filler(
    components: Components, definitions: Definitions, payloads: PayloadStore, now: int
) -> Backfiller:
    types = components.trigger_types
    ticker = Ticker(types, definitions, payloads, missed_after_seconds=60)
    return Backfiller(ticker, types, definitions, payloads, ManualClock(from_micros(now)))


@pytest.fixture
def fill(door: Door, filler: Backfiller, now: int) -> Callable[..., tuple[Gap, Filled]]:
    def run(**wish: Any) -> tuple[Gap, Filled]:
        wanted = {"first": now - HOUR, "last": now, **wish}
        gap, filled = door.read_now(filler.look, Backfill("ping", **wanted)), Filled()
        for places in gap.batches():
            filled.add(door.write_now(lambda places=places: filler.fill(gap, places)))
        return gap, filled

    return run


def answered(door: Door) -> list[Any]:
    """What the events said that were answered, in the order of the executions."""
    rows = door.read_now(lambda: list(ExecutionRow.select().order_by(ExecutionRow.id)))
    return [json.loads(row.trigger)["event"]["data"] for row in rows]


def test_a_bot_that_came_later_answers_what_was_there_in_the_order_of_its_writing(
    door: Door, store: Callable[..., Stored], publish: Any, route: Any, fill: Any
) -> None:
    publish(*range(250))
    publish(-1, name="custom.other")
    publish(-2, workspace="elsewhere")
    route()
    publish(-3)  # nobody has delivered it yet: the scheduler will
    store(PAID)

    gap, filled = fill()

    assert (gap.times, len(filled.executions)) == (250, 250)
    assert answered(door) == list(range(250))
    rows = door.read_now(lambda: list(ExecutionRow.select()))
    assert {(row.priority, row.trigger_id) for row in rows} == {(PRIORITY, None)}
    assert {json.loads(row.trigger)["backfill"] for row in rows} == {True}
    route()
    assert answered(door)[-1] == -3
    assert fill()[1].executions == []
    assert len(answered(door)) == 251


def test_what_was_fired_is_not_answered_again_and_what_was_paused_is(
    door: Door, store: Callable[..., Stored], publish: Any, route: Any, fill: Any, now: int
) -> None:
    store(f"{PAID}\n".replace("}]", ", if: 'trigger.event.data < 100'}]"))
    publish(1, 100)
    route()
    door.write_now(lambda: bots.pause("ping", now))
    publish(2, 3)
    route()

    gap, filled = fill()

    assert (gap.times, len(gap.missing), len(filled.executions)) == (4, 2, 2)
    assert answered(door) == [1, 2, 3]
    rows = door.read_now(lambda: list(OccurrenceRow.select()))
    assert sorted(row.decision for row in rows) == ["fired", "fired", "fired", "no-match"]
    assert sum("before: paused" in row.detail for row in rows) == 2


def test_two_backfills_at_once_and_one_that_died_make_one_execution_of_each(
    door: Door, store: Callable[..., Stored], publish: Any, route: Any, filler: Backfiller,
    at_once: Callable[..., list[Any]], now: int,
) -> None:  # fmt: skip
    publish(*range(20))
    route()
    store(PAID)
    gap = door.read_now(filler.look, Backfill("ping", now - HOUR, now))

    filled = at_once(4, lambda: filler.fill(gap, range(20)))

    assert sum(len(each.executions) for each in filled) == 20
    assert answered(door) == list(range(20))


def test_a_bot_does_not_answer_what_it_caused_itself_and_what_was_let_go_is_told(
    door: Door, store: Callable[..., Stored], publish: Any, route: Any, filler: Backfiller,
    fill: Any, now: int,
) -> None:  # fmt: skip
    own, gone = publish(1, 2)
    door.write_now(lambda: EventRow.update(chain='["ping"]').where(EventRow.id == own).execute())
    route()
    store(PAID)
    gap = door.read_now(filler.look, Backfill("ping", now - HOUR, now))
    door.write_now(lambda: EventRow.delete().where(EventRow.id == gone).execute())
    filled = door.write_now(lambda: filler.fill(gap, range(2)))
    assert filled.decisions == {"depth": 1, "forgotten": 1}
    assert (fill()[1].decisions, answered(door)) == ({}, [])


def test_turns_are_kept_where_the_trigger_says_so(
    door: Door, store: Callable[..., Stored], publish: Any, route: Any, fill: Any
) -> None:
    publish(*range(3))
    route()
    store(PAID.replace("}]", ", overlap: skip}]"))
    fill()
    rows = door.read_now(lambda: list(ExecutionRow.select().order_by(ExecutionRow.id)))
    assert [row.admitted for row in rows] == [True, False, False]
    assert answered(door) == [0, 1, 2]
