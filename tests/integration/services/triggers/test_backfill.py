from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from codex32 import ManualClock
from codex32.engine.records import gates
from codex32.kernel.clock import from_micros, to_micros
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.errors import BackfillRefused, BotDisabled, BotNotFound
from codex32.kernel.models import BotRow, ExecutionRow, OccurrenceRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots import bots
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.written import Stored
from codex32.services.executions.starting import Start, Starter
from codex32.services.triggers.backfill import PRIORITY, Backfill, Backfiller, Filled, Gap
from codex32.services.triggers.triggers import Ticker

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
HOURLY = "triggers: [{cron: '0 * * * *', overlap: allow}]"


@pytest.fixture
def ticker(components: Components, definitions: Definitions, payloads: PayloadStore) -> Ticker:
    return Ticker(components.trigger_types, definitions, payloads, missed_after_seconds=60)


@pytest.fixture
def filler(
    ticker: Ticker,
    components: Components,
    definitions: Definitions,
    payloads: PayloadStore,
    now: int,
) -> Backfiller:
    clock = ManualClock(from_micros(now))
    return Backfiller(ticker, components.trigger_types, definitions, payloads, clock)


@pytest.fixture
def fill(door: Door, filler: Backfiller, now: int) -> Callable[..., tuple[Gap, Filled]]:
    """Fills the last hours of a bot up."""

    def run(hours: float = 5, bot: str = "ping", **wish: Any) -> tuple[Gap, Filled]:
        wanted = {"first": now - int(hours * HOUR), "last": now, **wish}
        gap, filled = door.read_now(filler.look, Backfill(bot, **wanted)), Filled()
        for places in gap.batches():
            filled.add(door.write_now(lambda places=places: filler.fill(gap, places)))
        return gap, filled

    return run


def executions(door: Door) -> list[ExecutionRow]:
    return door.read_now(lambda: list(ExecutionRow.select().order_by(ExecutionRow.id)))


def times(door: Door) -> list[str]:
    return [json.loads(row.trigger)["at"] for row in executions(door)]


def decisions(door: Door) -> list[str]:
    rows = door.read_now(lambda: list(OccurrenceRow.select().order_by(OccurrenceRow.scheduled_at)))
    return [row.decision for row in rows]


def test_all_times_of_the_range_are_made_oldest_first(
    door: Door, store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]]
) -> None:
    store(HOURLY)
    gap, filled = fill(2)
    assert (gap.times, len(filled.executions), gap.left) == (3, 3, 0)
    rows = executions(door)
    assert times(door) == [f"2026-01-05T{hour}:00:00.000Z" for hour in (10, 11, 12)]
    assert [row.id for row in rows] == filled.executions
    assert {(row.priority, row.trigger_id, row.status) for row in rows} == {
        (PRIORITY, None, "queued")
    }
    assert [row.ready_at for row in rows] == sorted(row.ready_at for row in rows)
    assert {json.loads(row.trigger)["backfill"] for row in rows} == {True}


def test_a_second_backfill_finds_nothing(
    door: Door, store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]]
) -> None:
    store(HOURLY)
    fill(3)
    gap, filled = fill(5)
    assert (len(gap.missing), len(filled.executions)) == (2, 2)
    assert len(set(times(door))) == len(times(door)) == 6
    assert decisions(door) == ["fired"] * 6


def test_what_the_scheduler_fired_is_not_fired_again_and_what_it_passed_over_is(
    door: Door,
    store: Callable[..., Stored],
    ticker: Ticker,
    fill: Callable[..., tuple[Gap, Filled]],
    now: int,
) -> None:
    store(HOURLY, at=now - 5 * HOUR - 1)
    asyncio.run(ticker.run(door, now - 5 * HOUR))
    door.write_now(lambda: bots.pause("ping", now))
    asyncio.run(ticker.run(door, now - 4 * HOUR))
    door.write_now(lambda: bots.pause("ping", now, paused=False))
    asyncio.run(ticker.run(door, now))
    assert decisions(door) == ["fired", "paused", "missed", "fired"]

    _, filled = fill(5)

    assert len(filled.executions) == 4
    assert len(set(times(door))) == len(times(door)) == 6
    assert decisions(door) == ["fired"] * 6
    detail = door.read_now(lambda: [row.detail for row in OccurrenceRow.select()])
    assert sum("before: paused" in each for each in detail) == 1


def test_the_scheduler_passes_over_what_a_backfill_made(
    door: Door,
    store: Callable[..., Stored],
    ticker: Ticker,
    fill: Callable[..., tuple[Gap, Filled]],
    now: int,
) -> None:
    store(HOURLY, at=now - 10 * SECOND)
    fill(0)
    asyncio.run(ticker.run(door, now))
    assert times(door) == ["2026-01-05T12:00:00.000Z"]


def test_many_at_once_with_a_scheduler_make_one_execution_of_a_time(
    door: Door,
    store: Callable[..., Stored],
    filler: Backfiller,
    ticker: Ticker,
    at_once: Callable[..., list[Any]],
    now: int,
) -> None:
    store("triggers: [{cron: '* * * * *', overlap: allow, on_missed: all}]", at=now - HOUR)
    gap = door.read_now(filler.look, Backfill("ping", now - HOUR, now))
    turn = iter(range(8))

    def work() -> None:
        if next(turn) % 4 == 3:
            ticker.tick(now)
            return
        for places in gap.batches():
            filler.fill(gap, places)

    at_once(8, work)
    assert len(set(times(door))) == len(times(door)) == 61
    assert decisions(door) == ["fired"] * 61


def test_daylight_saving_is_kept_as_the_scheduler_keeps_it(
    door: Door, store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]]
) -> None:
    store("triggers: [{cron: '30 2 * * *', timezone: Europe/Berlin}]")
    spring = {"first": "2025-03-29T00:00+01:00", "last": "2025-03-31T23:00+02:00"}
    fill(**{name: to_micros(datetime.fromisoformat(text)) for name, text in spring.items()})
    assert times(door) == [
        "2025-03-29T01:30:00.000Z",
        "2025-03-30T01:00:00.000Z",
        "2025-03-31T00:30:00.000Z",
    ]
    autumn = {"first": "2025-10-25T00:00+02:00", "last": "2025-10-27T23:00+01:00"}
    fill(**{name: to_micros(datetime.fromisoformat(text)) for name, text in autumn.items()})
    assert sorted(times(door))[3:] == [
        "2025-10-25T00:30:00.000Z", "2025-10-26T00:30:00.000Z", "2025-10-27T01:30:00.000Z",
    ]  # fmt: skip


def test_a_rule_that_was_changed_does_not_fire_anew_what_the_old_one_fired(
    door: Door,
    store: Callable[..., Stored],
    ticker: Ticker,
    fill: Callable[..., tuple[Gap, Filled]],
    now: int,
) -> None:
    store(HOURLY, at=now - HOUR - 1)
    asyncio.run(ticker.run(door, now - HOUR))
    store("triggers: [{cron: '0 */1 * * *', overlap: allow}]")
    gap, _ = fill(2)
    assert len(gap.missing) == 2
    assert len(set(times(door))) == 3


def test_one_at_a_time_where_the_trigger_says_so_and_the_scheduler_is_not_kept_waiting(
    door: Door,
    store: Callable[..., Stored],
    ticker: Ticker,
    fill: Callable[..., tuple[Gap, Filled]],
    now: int,
) -> None:
    store(HOURLY.replace("allow", "skip"), at=now - SECOND)
    fill(5, last=now - HOUR)
    assert [row.admitted for row in executions(door)] == [True, False, False, False, False]
    asyncio.run(ticker.run(door, now))
    assert executions(door)[-1].admitted
    assert decisions(door)[-1] == "fired"


def test_those_that_are_due_go_before_those_that_are_made_up_for(
    door: Door,
    store: Callable[..., Stored],
    fill: Callable[..., tuple[Gap, Filled]],
    definitions: Definitions,
    payloads: PayloadStore,
    now: int,
) -> None:
    store(HOURLY + "\nconcurrency: {limit: 1, max_queued: 2}")
    _, filled = fill(5)
    starter = Starter(door, definitions, payloads, ManualClock(from_micros(now)))
    live = [starter.start_now(Start("ping")).id for _ in range(3)]
    assert live[2] is None  # two wait already, whoever else does

    order = []
    while row := door.read_now(
        lambda: ExecutionRow.get_or_none(
            ExecutionRow.admitted & ExecutionRow.finished_at.is_null()
        )
    ):
        order.append(row.id)

        def end(row: ExecutionRow = row) -> None:
            ExecutionRow.update(status="succeeded", finished_at=now).where(
                ExecutionRow.id == row.id
            ).execute()
            gates.admit(row.gate, now)

        door.write_now(end)
    first, *rest = filled.executions
    assert order == [first, *live[:2], *rest]


def test_a_limit_takes_the_oldest_and_says_what_is_left(
    door: Door, store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]]
) -> None:
    store(HOURLY)
    gap, filled = fill(9, limit=3)
    assert (len(filled.executions), gap.left, gap.times) == (3, 7, 10)
    assert times(door)[0] == "2026-01-05T03:00:00.000Z"


def test_triggers_are_chosen_by_place_or_kind(
    store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]], door: Door
) -> None:
    store("triggers: [{cron: '0 * * * *'}, {every: 30m}, {every: 2h, enabled: false}]")
    assert fill(2, trigger="1")[0].times == 3
    assert fill(2, trigger="3")[0].times == 2
    assert fill(2, trigger="every")[0].times == 7
    assert fill(2)[0].times == 8
    with pytest.raises(BackfillRefused, match=r"2 \(every 30m\)"):
        fill(2, trigger="4")


def test_what_makes_no_sense_is_refused_with_what_would(
    door: Door, store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]], now: int
) -> None:
    store(HOURLY)
    with pytest.raises(BackfillRefused, match="future"):
        fill(1, last=now + HOUR)
    with pytest.raises(BackfillRefused, match="before it begins"):
        fill(1, last=now - 2 * HOUR)
    with pytest.raises(BotNotFound, match="did you mean 'ping'"):
        fill(1, bot="pong")
    store("name: fast\ntriggers: [{every: 1s}]")
    with pytest.raises(BackfillRefused, match="100,000"):
        fill(48, bot="fast")
    store("name: hand")
    with pytest.raises(BackfillRefused, match="it has: none"):
        fill(1, bot="hand")
    store("name: off\nenabled: false\n" + HOURLY)
    with pytest.raises(BotDisabled):
        fill(1, bot="off")


def test_where_answers_are_forgotten_nothing_is_done_unless_that_is_meant(
    door: Door, store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]], now: int
) -> None:
    store("triggers: [{cron: '0 0 * * *'}]", at=now - 60 * DAY)
    with pytest.raises(BackfillRefused, match="is forgotten"):
        fill(40 * 24)
    assert fill(40 * 24, forgotten=True)[0].times == 40
    door.write_now(lambda: BotRow.update(created_at=now).execute())
    assert fill(41 * 24)[0].times == 41  # before it was there, nothing can have been fired


def test_triggers_that_change_meanwhile_stop_it(
    door: Door, store: Callable[..., Stored], filler: Backfiller, now: int
) -> None:
    store(HOURLY)
    gap = door.read_now(filler.look, Backfill("ping", now - 5 * HOUR, now))
    store("triggers: [{every: 5m}]")
    with pytest.raises(BackfillRefused, match="changed meanwhile"):
        door.write_now(lambda: filler.fill(gap, range(6)))
    assert executions(door) == []


def test_inputs_and_conditions_of_the_trigger_hold(
    door: Door, store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]]
) -> None:
    store(
        "inputs: {at: {type: string}}\ntriggers:\n  - cron: '0 * * * *'\n"
        "    if: \"trigger.at != '2026-01-05T11:00:00.000Z'\"\n"
        '    inputs: {at: "${{ trigger.at }}"}\n'
    )
    _, filled = fill(2)
    assert filled.decisions == {"fired": 2, "no-match": 1}
    assert [json.loads(row.inputs)["at"] for row in executions(door)] == times(door)
    assert fill(2)[0].missing == []


def test_a_broken_input_is_told_and_tried_again_later(
    door: Door, store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]]
) -> None:
    text = "inputs: {n: {type: integer}}\ntriggers: [{cron: '0 * * * *', inputs: {n: %s}}]"
    store(text % '"${{ trigger.at }}"')
    assert fill(1)[1].decisions == {"invalid": 2}
    assert len(fill(1)[0].missing) == 2
    assert executions(door) == []


def test_ten_thousand_times_are_some_transactions(
    door: Door, store: Callable[..., Stored], fill: Callable[..., tuple[Gap, Filled]]
) -> None:
    store("triggers: [{every: 10s, overlap: allow}]")
    before = door.commits
    _, filled = fill(10_000 * 10 / 3600)
    assert len(set(filled.executions)) == 10_001
    assert door.commits - before == 51
