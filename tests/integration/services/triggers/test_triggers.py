import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from codex32 import JSON, ExecutionQueued, TriggerFired, TriggerType
from codex32.builtin.triggers.every import EveryTrigger
from codex32.engine.reading.definition import Reader
from codex32.kernel.clock import to_micros
from codex32.kernel.components import Components
from codex32.kernel.database import Door, is_sqlite
from codex32.kernel.json_values import loads
from codex32.kernel.models import ExecutionRow, OccurrenceRow, TriggerRow, VersionRow
from codex32.kernel.notices import events_in
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots import bots
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import Stored
from codex32.services.triggers.triggers import Ticked, Ticker

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def door(open_door: Callable[..., Door], told: list[Any]) -> Door:
    return open_door(on_commit=told.extend)


@pytest.fixture
def ticker(components: Components, definitions: Definitions, payloads: PayloadStore) -> Ticker:
    return Ticker(components.trigger_types, definitions, payloads, missed_after_seconds=60)


@pytest.fixture
def tick(door: Door, ticker: Ticker) -> Callable[[int], Ticked]:
    return lambda now: asyncio.run(ticker.run(door, now))


def executions(door: Door) -> list[ExecutionRow]:
    return door.read_now(lambda: list(ExecutionRow.select().order_by(ExecutionRow.id)))


def decisions(door: Door) -> list[str]:
    rows = door.read_now(lambda: list(OccurrenceRow.select().order_by(OccurrenceRow.scheduled_at)))
    return [row.decision for row in rows]


def end(door: Door, now: int) -> None:
    """Let every execution end."""
    door.write_now(lambda: ExecutionRow.update(status="succeeded", finished_at=now).execute())


def test_a_due_trigger_starts_its_bot_once(
    door: Door, store: Callable[..., Stored], tick: Callable[[int], Ticked], now: int, told: Any
) -> None:
    stored = store(
        "inputs: {when: {type: string}, n: {type: integer, default: 3}}\n"
        "triggers: [{every: 1h, inputs: {when: '${{ trigger.at }}'}}]"
    )
    assert tick(now) == Ticked()

    ticked = tick(now + HOUR + SECOND)

    (row,) = executions(door)
    trigger, occurrence = door.read_now(lambda: (TriggerRow.get(), OccurrenceRow.get()))
    assert (ticked.triggers, ticked.decisions) == (1, {"fired": 1})
    assert (row.version_id, row.trigger_id, row.trigger_kind) == (
        stored.version_id,
        trigger.id,
        "every",
    )
    assert loads(row.inputs) == {"when": "2026-01-05T13:00:00.000Z", "n": 3}
    assert loads(row.trigger) == {"kind": "every", "at": "2026-01-05T13:00:00.000Z"}
    assert (occurrence.execution_id, occurrence.scheduled_at) == (row.id, now + HOUR)
    assert trigger.next_at == now + 2 * HOUR
    assert tick(now + HOUR + 2 * SECOND) == Ticked()
    door.close()
    assert row.id in told
    assert [e.execution_id for e in events_in(told) if isinstance(e, ExecutionQueued)] == [row.id]
    assert [e.decision for e in told if isinstance(e, TriggerFired)] == ["fired"]


def test_a_paused_bot_is_not_started_and_does_not_catch_up(
    door: Door, store: Callable[..., Stored], tick: Callable[[int], Ticked], now: int
) -> None:
    store("triggers: [{every: 1h}]")
    door.write_now(lambda: bots.pause("ping", now))

    tick(now + HOUR)
    tick(now + 2 * HOUR)
    door.write_now(lambda: bots.pause("ping", now, paused=False))
    tick(now + 3 * HOUR)

    assert decisions(door) == ["paused", "paused", "fired"]


@pytest.mark.parametrize(
    ("overlap", "expected", "held"),
    [
        ("skip", ["fired", "overlap", "fired"], 0),
        ("allow", ["fired", "fired", "fired"], 0),
        ("queue", ["fired", "fired", "fired"], 1),
    ],
)
def test_what_happens_while_an_earlier_execution_goes_on(
    door: Door,
    store: Callable[..., Stored],
    tick: Callable[[int], Ticked],
    now: int,
    overlap: str,
    expected: list[str],
    held: int,
) -> None:
    store(f"triggers: [{{every: 1h, overlap: {overlap}}}]")

    tick(now + HOUR)
    tick(now + 2 * HOUR)
    waiting = [row for row in executions(door) if not row.admitted]
    end(door, now + 2 * HOUR)
    tick(now + 3 * HOUR)

    assert decisions(door) == expected
    assert len(waiting) == held


@pytest.mark.parametrize(
    ("on_missed", "expected"),
    [
        ("skip", {"missed": 1}),
        ("last", {"missed": 1, "fired": 1}),
        ("all", {"fired": 5}),
    ],
)
def test_what_happens_to_times_at_which_nobody_was_there(
    door: Door,
    store: Callable[..., Stored],
    tick: Callable[[int], Ticked],
    now: int,
    on_missed: str,
    expected: dict[str, int],
) -> None:
    store(f"triggers: [{{every: 1h, on_missed: {on_missed}}}]")

    ticked = tick(now + 5 * HOUR + 5 * MINUTE)

    assert ticked.decisions == expected
    assert door.read_now(lambda: TriggerRow.get().next_at) == now + 6 * HOUR
    if on_missed == "all":  # one after the other
        assert [row.admitted for row in executions(door)].count(True) == 1
    if on_missed == "last":
        (row,) = executions(door)
        assert loads(row.trigger)["at"] == "2026-01-05T17:00:00.000Z"


def test_a_moment_fires_once_also_when_nobody_was_there(
    door: Door, store: Callable[..., Stored], tick: Callable[[int], Ticked], now: int
) -> None:
    store("triggers: [{at: '2026-01-05T13:00:00Z', on_missed: last}]")

    tick(now + 2 * HOUR)
    tick(now + 9 * HOUR)

    assert decisions(door) == ["fired"]
    assert door.read_now(lambda: TriggerRow.get().next_at) is None


def test_a_condition_that_does_not_hold_and_faults_leave_their_reason(
    door: Door, store: Callable[..., Stored], tick: Callable[[int], Ticked], now: int
) -> None:
    store("name: no-match\ntriggers: [{every: 1h, if: \"trigger.kind == 'cron'\"}]")
    store("name: fault\ntriggers: [{every: 1h, if: 'trigger.body.x == 1'}]")
    store(
        "name: unfit\ninputs: {n: {type: integer}}\n"
        "triggers: [{every: 1h, inputs: {n: '${{ trigger.kind }}'}}]"
    )
    store("name: good\ntriggers: [{every: 1h}]")

    ticked = tick(now + HOUR)

    assert ticked.decisions == {"no-match": 1, "invalid": 2, "fired": 1}
    details = {r.detail for r in door.read_now(lambda: list(OccurrenceRow.select()))}
    assert any("body" in detail for detail in details)
    assert any("n: " in detail for detail in details)


def test_what_was_seen_before_is_answered_with_the_first_execution(
    door: Door, store: Callable[..., Stored], tick: Callable[[int], Ticked], now: int
) -> None:
    store('triggers: [{every: 1h, overlap: allow, dedupe: "${{ trigger.kind }}"}]')

    tick(now + HOUR)
    tick(now + 2 * HOUR)

    (row,) = executions(door)
    assert decisions(door) == ["fired", "deduplicated"]
    assert {r.execution_id for r in door.read_now(lambda: list(OccurrenceRow.select()))} == {
        row.id
    }


def test_a_full_bot_skips_where_it_says_so(
    door: Door, store: Callable[..., Stored], tick: Callable[[int], Ticked], now: int
) -> None:
    store("concurrency: {limit: 1, when_full: skip}\ntriggers: [{every: 1h, overlap: allow}]")

    tick(now + HOUR)
    tick(now + 2 * HOUR)

    assert decisions(door) == ["fired", "concurrency"]
    assert len(executions(door)) == 1


def test_a_trigger_that_queues_enters_the_bots_gate_when_it_is_empty(
    door: Door, store: Callable[..., Stored], tick: Callable[[int], Ticked], now: int
) -> None:
    stored = store("concurrency: {limit: 3}\ntriggers: [{every: 1h, overlap: queue}]")

    tick(now + HOUR)
    tick(now + 2 * HOUR)

    rows = executions(door)
    assert {row.gate for row in rows} == {f"bot:{stored.bot_id}:"}
    assert sorted(row.admitted for row in rows) == [False, True]


def test_a_clock_that_is_put_back_brings_nothing_twice(
    door: Door,
    store: Callable[..., Stored],
    tick: Callable[[int], Ticked],
    registry: Registry,
    now: int,
) -> None:
    store("triggers: [{every: 1h, overlap: allow}]")
    tick(now + HOUR)

    door.write_now(lambda: TriggerRow.update(next_at=now + HOUR).execute())
    ticked = tick(now + HOUR)

    assert (ticked.triggers, ticked.decisions) == (1, {})
    assert len(executions(door)) == 1


class Broken(TriggerType):
    """Raises as soon as its time has come."""

    name = "broken"
    config_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        if after >= datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC):
            raise ZeroDivisionError("broken clockwork")
        return datetime(2026, 1, 5, 12, 1, tzinfo=UTC)


def test_a_failing_trigger_type_stops_no_other(
    door: Door, components: Components, payloads: PayloadStore, now: int
) -> None:
    types = {"every": EveryTrigger(), "broken": Broken()}
    reader = Reader(
        Components.of(bot_types=components.bot_types.values(), trigger_types=types.values())
    )
    definitions = Definitions(reader.from_document)
    registry = Registry(types, definitions)
    for kind in ("broken", "every"):
        text = f"name: {kind}\ntriggers: [{{{kind}: 1m}}]\ntype: set\nwith: {{values: {{}}}}"
        written = bots.Written.of(reader.read_text(text).only_bot(), text, "api")
        door.write_now(lambda written=written: registry.store(written, now))

    ticked = asyncio.run(Ticker(types, definitions, payloads).run(door, now + MINUTE))

    assert ticked.decisions == {"fired": 1, "invalid": 1}
    (row,) = door.read_now(lambda: list(TriggerRow.select().where(TriggerRow.kind == "broken")))
    assert row.next_at is None


def test_a_batch_that_the_database_refuses_is_answered_one_by_one(
    door: Door, store: Callable[..., Stored], tick: Callable[[int], Ticked], now: int
) -> None:
    for name in ("one", "two", "three"):
        store(f"name: {name}\ntriggers: [{{every: 1h}}]")
    two = door.read_now(bots.get, "two").id
    refusal = f"ALTER TABLE occurrence ADD CHECK (bot_id <> '{two}')"
    if door.read_now(is_sqlite):
        refusal = (
            f"CREATE TRIGGER refusal BEFORE INSERT ON occurrence WHEN NEW.bot_id = '{two}' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    door.write_now(lambda: door.database.execute_sql(refusal))

    ticked = tick(now + HOUR)

    assert ticked.decisions == {"fired": 2}
    assert len(executions(door)) == 2
    (row,) = door.read_now(lambda: list(TriggerRow.select().where(TriggerRow.bot_id == two)))
    assert row.next_at is None


def test_nothing_is_doubled_and_nothing_missing_however_many_tick(
    door: Door,
    store: Callable[..., Stored],
    ticker: Ticker,
    at_once: Callable[..., list[Any]],
    now: int,
) -> None:
    for number in range(60):
        store(f"name: bot-{number}\ntriggers: [{{every: 1h, overlap: allow}}]")

    hours = 3
    for hour in range(1, hours + 1):
        at_once(4, lambda hour=hour: ticker.tick(now + hour * HOUR))
        asyncio.run(ticker.run(door, now + hour * HOUR))

    rows = executions(door)
    assert len(rows) == 60 * hours
    assert len({(row.trigger_id, loads(row.trigger)["at"]) for row in rows}) == 60 * hours
    assert decisions(door) == ["fired"] * 60 * hours


def test_a_batch_asks_as_much_of_the_database_as_one_trigger_does(
    door: Door, store: Callable[..., Stored], ticker: Ticker, now: int
) -> None:
    asked: list[int] = []
    for hour, count in ((1, 1), (2, 20)):
        for number in range(count):
            store(f"name: bot-{count}-{number}\ntriggers: [{{every: 1h, overlap: allow}}]")
        statements: list[str] = []
        execute = door.database.execute_sql

        def counted(sql: str, *args: Any, to: list[str] = statements, **rest: Any) -> Any:
            to.append(sql)
            return execute(sql, *args, **rest)  # noqa: B023

        door.database.execute_sql = counted  # type: ignore[method-assign]
        ticked = door.write_now(lambda hour=hour: ticker.tick(now + hour * HOUR))
        del door.database.execute_sql
        assert ticked.decisions["fired"] == (1 if count == 1 else 21)
        asked.append(len(statements))

    assert asked[1] == asked[0]


def test_a_look_is_put_off_until_something_is_due(
    door: Door, store: Callable[..., Stored], ticker: Ticker, now: int
) -> None:
    assert asyncio.run(ticker.run(door, now)).pause_seconds(now, most=5) == 5

    store("triggers: [{every: 1h}]")
    early = asyncio.run(ticker.run(door, now))
    late = asyncio.run(ticker.run(door, now + HOUR - SECOND))
    fired = asyncio.run(ticker.run(door, now + HOUR))

    assert early.pause_seconds(now, most=5) == 5
    assert late.pause_seconds(now + HOUR - SECOND, most=5) == 1
    assert fired.triggers == 1
    assert fired.pause_seconds(now + HOUR, most=5) < 0.1


def test_a_version_that_needs_what_is_gone_spoils_no_other(
    door: Door, store: Callable[..., Stored], tick: Callable[[int], Ticked], now: int
) -> None:
    gone = store("name: one\ntriggers: [{every: 1h}]")
    store("name: two\ntriggers: [{every: 1h}]")
    document = '{"name":"one","type":"vanished"}'
    mine = VersionRow.id == gone.version_id
    door.write_now(lambda: VersionRow.update(document=document).where(mine).execute())

    ticked = tick(now + HOUR)

    assert ticked.decisions == {"fired": 1, "invalid": 1}


@pytest.mark.parametrize(
    ("cron", "start", "fires"),
    [
        # 02:30 does not exist on 2026-03-29 in Berlin: once, right after the gap.
        ("30 2 * * *", "2026-03-28T12:00:00+00:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # 02:30 exists twice on 2026-10-25: once, the first time.
        ("30 2 * * *", "2026-10-24T12:00:00+00:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
    ],
)
def test_a_time_of_day_fires_once_a_day_when_the_clocks_change(
    door: Door,
    store: Callable[..., Stored],
    tick: Callable[[int], Ticked],
    cron: str,
    start: str,
    fires: list[str],
) -> None:
    begin = to_micros(datetime.fromisoformat(start))
    store(f"triggers: [{{cron: '{cron}', timezone: Europe/Berlin, overlap: allow}}]", at=begin)

    for quarter in range(4 * 40):
        tick(begin + quarter * 15 * MINUTE)

    ats = [loads(row.trigger)["at"] for row in executions(door)]
    assert sorted(at[:16] for at in ats) == fires
