import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from codex32.kernel.caller import Caller
from codex32.kernel.clock import from_micros
from codex32.kernel.components import Components
from codex32.kernel.database import Door, announce, is_sqlite, transaction, write_last
from codex32.kernel.errors import EventInvalid
from codex32.kernel.events import ExecutionFinished, WorkerLost
from codex32.kernel.fault_points import arm, disarm
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import loads
from codex32.kernel.models import (
    EventRow,
    ExecutionRow,
    OccurrenceRow,
    StepRow,
    SubscriptionRow,
    TriggerRow,
)
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.safe_rows import AuditRow
from codex32.services.ai import ledger
from codex32.services.ai.ledger import Attempt, Limit, Settlement
from codex32.services.bots import bots
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.written import Stored
from codex32.services.events import events
from codex32.services.events.outbox import Outbox
from codex32.services.events.routing import Routed, Router, tidy

SECOND = 1_000_000


@pytest.fixture
def seconds() -> list[float]:
    """The monotonic time that the outbox goes by."""
    return [0.0]


@pytest.fixture
def outbox(components: Components, payloads: PayloadStore, seconds: list[float]) -> Outbox:
    return Outbox(components.trigger_types, payloads, lambda: seconds[0])


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def door(open_door: Callable[..., Door], told: list[Any], outbox: Outbox) -> Door:
    return open_door(on_commit=told.extend, outbox=outbox.keep)


@pytest.fixture
def router(components: Components, definitions: Definitions, payloads: PayloadStore) -> Router:
    return Router(components.trigger_types, definitions, payloads)


@pytest.fixture
def route(door: Door, router: Router, now: int) -> Callable[[], Routed]:
    return lambda: asyncio.run(router.run(door, now))


@pytest.fixture
def publish(door: Door, now: int) -> Callable[..., str]:
    def published(name: str, data: Any = None, **options: Any) -> str:
        wish = events.Publish(name, data, now, new_id("evt"), **options)
        return events.publish_now(door, wish).id

    return published


def finish(door: Door, execution_id: str, now: int, status: str = "failed") -> None:
    """Let an execution end, as an engine tells it."""

    def work() -> None:
        row = ExecutionRow.get_by_id(execution_id)
        ExecutionRow.update(status=status, finished_at=now).where(
            ExecutionRow.id == execution_id
        ).execute()
        announce(
            ExecutionFinished(
                at=from_micros(now),
                execution_id=execution_id,
                bot=row.bot_name,
                status=status,
                cause="error",
                message="no luck",
                duration_seconds=1.0,
            )
        )

    door.write_now(work)


def rows(door: Door, kind: Any) -> list[Any]:
    found = door.read_now(lambda: list(kind.select()))
    return sorted(found, key=lambda row: getattr(row, "id", None) or "")


def names(door: Door) -> list[str]:
    return [row.name for row in rows(door, EventRow)]


def decisions(door: Door) -> list[tuple[str, str]]:
    return [(row.decision, row.detail) for row in rows(door, OccurrenceRow)]


# who is written for


def test_what_nobody_listens_to_is_not_written(
    door: Door, execution: Callable[..., str], outbox: Outbox, now: int
) -> None:
    finish(door, door.write_now(execution), now)
    assert rows(door, EventRow) == []
    assert not outbox.listening()


def test_who_listens_is_known_also_while_it_is_asked_anew(
    door: Door,
    execution: Callable[..., str],
    store: Callable[..., Stored],
    outbox: Outbox,
    now: int,
    seconds: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Workers on PostgreSQL write on two threads, and each may be the one that asks.
    store("name: listens\ntriggers: [{event: execution.failed}]")
    finish(door, door.write_now(execution), now)
    known: list[bool] = []

    def asked(*_: Any) -> set[tuple[str, str]]:
        seconds[0] -= 2.0  # to the other thread what it knows is fresh
        known.append(outbox.listening())
        seconds[0] += 2.0
        return {("default", "execution.failed")}

    monkeypatch.setattr("codex32.services.events.outbox.patterns", asked)
    seconds[0] += 2.0
    finish(door, door.write_now(execution), now)
    assert known == [True]


def test_an_event_is_written_with_what_it_tells_of(
    door: Door, execution: Callable[..., str], store: Callable[..., Stored], now: int
) -> None:
    store("name: listens\ntriggers: [{event: execution.failed}]")
    execution_id = door.write_now(execution)

    finish(door, execution_id, now)

    (event,) = rows(door, EventRow)
    assert (event.name, event.at, event.delivered_at) == ("execution.failed", now, None)
    assert loads(event.data) == {
        "execution": execution_id,
        "bot": "ping",
        "status": "failed",
        "cause": "error",
        "message": "no luck",
        "bot_type": "",
        "duration_seconds": 1.0,
    }
    assert loads(event.chain) == ["ping"]


def test_what_is_found_out_by_what_is_written_last_is_told_as_well(
    door: Door, store: Callable[..., Stored], route: Callable[[], Routed], now: int
) -> None:
    # Budgets are reckoned behind all else of a transaction, and are told of from there.
    hears = store("name: hears\ntriggers: [{event: 'budget.*'}]")
    limits = [Limit(f"bot:{hears.bot_id} 2026-01", 100)]
    row = {"workspace": "default", "model": "one:plain", "day": "2026-01-05", "step": "ask"}
    for number, cost in enumerate((50, 50)):
        asked = Attempt(f"mat_{number}", row, limits, cost, now, now + 1)
        door.write_now(lambda asked=asked: write_last(ledger.post, ledger.Reservation(asked)))
        end = Settlement(asked.id, "settled", now, cost)
        door.write_now(lambda end=end: ledger.settle_all([end]))

    assert names(door) == ["budget.warned", "budget.exhausted"]
    told = loads(rows(door, EventRow)[0].data)
    assert (told["budget"], told["percent"]) == ("bot:hears 2026-01", 50)
    route()
    assert [decision for decision, _ in decisions(door)] == ["fired", "fired"]


def test_what_did_not_happen_is_not_told(
    door: Door, store: Callable[..., Stored], execution: Callable[..., str], now: int
) -> None:
    store("triggers: [{event: '*'}]")

    def fails() -> None:
        bots.pause("ping", now)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - its own
        door.write_now(fails)
    assert names(door) == ["bot.changed"]  # of the bot's own making


def test_who_is_new_is_heard_of_within_a_second(
    door: Door, store: Callable[..., Stored], execution: Callable[..., str], seconds: Any, now: int
) -> None:
    first, second, third = (door.write_now(execution) for _ in range(3))
    finish(door, first, now)  # from now on it is remembered that nobody listens
    store("name: listens\ntriggers: [{event: execution.*}]")
    seconds[0] = 0.9
    finish(door, second, now)
    assert rows(door, EventRow) == []

    seconds[0] = 1.0
    finish(door, third, now)

    assert names(door) == ["execution.failed"]


def test_a_bot_that_is_disabled_listens_no_more(
    door: Door, store: Callable[..., Stored], execution: Callable[..., str], seconds: Any, now: int
) -> None:
    store("name: listens\ntriggers: [{event: execution.*}]")
    store("name: listens\nenabled: false\ntriggers: [{event: execution.*}]")
    seconds[0] = 2.0
    finish(door, door.write_now(execution), now)
    assert rows(door, EventRow) == []


def test_custom_events_are_always_written_and_delivered_to_nobody(
    door: Door, publish: Callable[..., str], route: Callable[[], Routed], now: int
) -> None:
    event_id = publish("custom.paid", {"order": 1})
    assert route() == Routed(events=1)
    (event,) = rows(door, EventRow)
    assert (event.id, event.delivered_at) == (event_id, now)
    assert route() == Routed()


def test_a_lost_worker_is_told_of_once(door: Door, store: Callable[..., Stored], now: int) -> None:
    store("triggers: [{event: worker.lost}]")
    for execution_id in ("exe_1", "exe_2"):
        lost = WorkerLost(at=from_micros(now), worker="prc_1", executions=(execution_id,))
        door.write_now(lambda lost=lost: announce(lost))
    (event,) = rows(door, EventRow)
    assert loads(event.data) == {"worker": "prc_1", "executions": ["exe_1"]}


def test_a_file_that_is_well_again_is_told_of(
    door: Door, registry: Any, store: Callable[..., Stored], write: Callable[..., Any], now: int
) -> None:
    store("name: listens\ntriggers: [{event: bot.*}]")
    mended = write("name: ill", origin="file", source="ill.yaml")
    door.write_now(lambda: bots.fail("ill", "ill.yaml", [], now))
    door.write_now(lambda: registry.store(mended, now))
    assert sorted(names(door)) == ["bot.changed", "bot.changed", "bot.failed", "bot.recovered"]


# publishing


def test_the_same_key_gives_the_event_that_is_there(publish: Callable[..., str]) -> None:
    first = publish("custom.paid", key="a")
    assert publish("custom.paid", key="a") == first
    assert publish("custom.paid", key="b") != first
    assert publish("custom.paid") != publish("custom.paid")


def test_an_event_keeps_who_published_it_and_is_no_entry_of_the_audit_log(
    door: Door, publish: Callable[..., str]
) -> None:
    anna = Caller("user", "usr_1", "anna", address="192.0.2.7", request_id="req_1")
    publish("custom.paid", by=anna)
    publish("custom.paid", by=anna, key="7")
    assert [loads(row.published_by) for row in rows(door, EventRow)] == [anna.told()] * 2
    assert rows(door, AuditRow) == []


def test_what_cannot_be_published_is_refused(publish: Callable[..., str]) -> None:
    with pytest.raises(EventInvalid, match="told by the house itself"):
        publish("execution.failed")
    with pytest.raises(EventInvalid, match="longer than 256 KiB"):
        publish("custom.long", "x" * 300_000)


def test_events_are_listed_by_name_newest_first(door: Door, publish: Callable[..., str]) -> None:
    ids = sorted(publish(f"custom.n{n}") for n in range(5))

    def listed(**options: Any) -> list[str]:
        return [row.id for row in door.read_now(lambda: events.listing(**options))]

    assert listed() == ids[::-1]
    assert listed(limit=2) == ids[:-3:-1]
    assert listed(before=ids[2]) == [ids[1], ids[0]]
    assert len(listed(pattern="custom.n[13]")) == 2


# triggers


def test_an_event_starts_the_bots_that_listen_once_each(
    door: Door, store: Callable[..., Stored], publish: Callable[..., str], route: Any, now: int
) -> None:
    given = "inputs: {n: '${{ trigger.event.data.n }}'}"
    for name, pattern in (("exact", "custom.paid"), ("wide", "custom.*"), ("other", "custom.x")):
        trigger = f"{{event: {pattern}, {given}}}"
        store(f"name: {name}\ninputs: {{n: {{}}}}\ntriggers: [{trigger}]")
    event_id = publish("custom.paid", {"n": 7})

    assert route().decisions == {"fired": 2}
    assert route() == Routed()

    made = {row.bot_name: row for row in rows(door, ExecutionRow)}
    assert set(made) == {"exact", "wide"}
    assert loads(made["wide"].inputs) == {"n": 7}
    assert loads(made["exact"].trigger)["event"] == {
        "id": event_id,
        "name": "custom.paid",
        "at": "2026-01-05T12:00:00.000Z",
        "data": {"n": 7},
        "chain": [],
    }
    assert {row.key for row in rows(door, OccurrenceRow)} == {event_id}


def test_the_reasons_why_nothing_was_started_are_told(
    door: Door, store: Callable[..., Stored], publish: Callable[..., str], route: Any, now: int
) -> None:
    store('name: choosy\ntriggers: [{event: custom.*, if: "trigger.event.data.n > 5"}]')
    store("name: resting\ntriggers: [{event: custom.*}]")
    store("name: strict\ninputs: {n: {type: string}}\ntriggers: [{event: custom.*, "
          "inputs: {n: '${{ trigger.event.data.n }}'}}]")  # fmt: skip
    store("name: blind\ntriggers: [{event: custom.*, if: trigger.event.data.m == 1}]")
    store("name: deaf\ntriggers: [{event: execution.*}]")
    door.write_now(lambda: bots.pause("resting", now))
    publish("custom.paid", {"n": 1})

    assert route().decisions == {"no-match": 1, "paused": 1, "invalid": 2}

    assert len(rows(door, OccurrenceRow)) == 4
    assert rows(door, ExecutionRow) == []


def test_events_do_not_wait_for_each_other_unless_the_trigger_says_so(
    door: Door, store: Callable[..., Stored], publish: Callable[..., str], route: Any
) -> None:
    store("name: all\ntriggers: [{event: custom.*}]")
    store("name: one\ntriggers: [{event: custom.*, overlap: skip}]")
    store("name: turns\ntriggers: [{event: custom.*, overlap: queue}]")
    store("name: same\ntriggers: [{event: custom.*, dedupe: '${{ trigger.event.name }}'}]")
    for _ in range(3):
        publish("custom.paid")

    assert route().decisions == {"fired": 8, "overlap": 2, "deduplicated": 2}

    held = [row.bot_name for row in rows(door, ExecutionRow) if not row.admitted]
    assert held == ["turns", "turns"]


def test_two_schedulers_answer_an_event_once(
    door: Door, store: Callable[..., Stored], publish: Callable[..., str], router: Router,
    at_once: Callable[..., list[Any]], now: int,
) -> None:  # fmt: skip
    store("triggers: [{event: custom.*}]")
    for _ in range(20):
        publish("custom.paid")

    routed = at_once(4, lambda: router.route(now))

    assert sum(each.events for each in routed) == 20
    assert len(rows(door, ExecutionRow)) == 20


def test_events_are_answered_in_the_order_of_their_writing_whatever_the_clocks_say(
    door: Door, store: Callable[..., Stored], route: Any, now: int
) -> None:
    store("triggers: [{event: custom.*, overlap: queue}]")
    for n in range(3):  # whoever publishes first has a clock that goes before
        published_id = new_id("evt", now=lambda n=n: now / 1e6 - n)
        events.publish_now(door, events.Publish("custom.n", n, now, published_id))
    assert route().decisions == {"fired": 3}
    made = [loads(row.trigger)["event"]["data"] for row in rows(door, ExecutionRow)]
    assert made == [0, 1, 2]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_scheduler_delivers_what_follows_before_what_another_is_delivering(
    door: Door, store: Callable[..., Stored], router: Router, at_once: Callable[..., list[Any]],
    now: int,
) -> None:  # fmt: skip
    store("triggers: [{event: custom.*, overlap: queue}]")
    many = [events.Publish("custom.n", n, now, new_id("evt")) for n in range(300)]
    door.write_now(lambda: events.publish_many(many))
    meanwhile: list[Routed] = []

    def another() -> None:
        disarm()
        meanwhile.extend(at_once(1, lambda: router.route(now)))

    arm("events.before_commit", another)
    assert door.write_now(lambda: router.route(now)).events == 200
    assert [each.events for each in meanwhile] == [0]
    assert door.write_now(lambda: router.route(now)).events == 100
    made = [loads(row.trigger)["event"]["data"] for row in rows(door, ExecutionRow)]
    assert made == list(range(300))


def test_an_event_that_was_answered_before_is_not_answered_again(
    door: Door, store: Callable[..., Stored], publish: Callable[..., str], route: Any
) -> None:
    """So it is where somebody made it undelivered by hand."""
    store("triggers: [{event: custom.*}]")
    publish("custom.paid")
    route()
    door.write_now(lambda: EventRow.update(delivered_at=None).execute())
    assert route().decisions == {}
    assert len(rows(door, ExecutionRow)) == 1


def test_an_event_that_breaks_its_delivery_does_not_hold_up_the_others(
    door: Door, store: Callable[..., Stored], publish: Callable[..., str], route: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    store("triggers: [{event: custom.*}]")
    broken = publish("custom.broken")
    door.write_now(lambda: EventRow.update(data="{").where(EventRow.id == broken).execute())
    publish("custom.paid")
    routed = route()
    assert routed.decisions == {"fired": 1}
    assert all(row.delivered_at is not None for row in rows(door, EventRow))
    (line,) = [each for each in caplog.records if f"event {broken} " in each.getMessage()]
    assert line.workspace == "default"


def test_thousands_of_events_are_delivered_in_batches(
    door: Door, store: Callable[..., Stored], route: Any, now: int
) -> None:
    store("triggers: [{event: custom.*}]")

    many = [events.Publish("custom.n", None, now, new_id("evt")) for _ in range(1500)]
    door.write_now(lambda: events.publish_many(many))
    assert route() == Routed(1500, 0, {"fired": 1500})


# chains


def test_a_bot_never_answers_what_it_caused(
    door: Door, store: Callable[..., Stored], publish: Callable[..., str], route: Any, now: int
) -> None:
    store("name: one\ntriggers: [{event: custom.go}, {event: execution.failed}]")
    store("name: two\ntriggers: [{event: execution.failed}]")
    publish("custom.go")
    route()
    (first,) = rows(door, ExecutionRow)

    finish(door, first.id, now)
    assert route().decisions == {"depth": 1, "fired": 1}
    second = next(row for row in rows(door, ExecutionRow) if row.bot_name == "two")
    finish(door, second.id, now)

    assert route().decisions == {"depth": 2}
    assert [row.depth for row in (first, second)] == [0, 1]
    details = [detail for decision, detail in decisions(door) if decision == "depth"]
    assert sorted(details)[0] == "a bot does not answer what it caused itself: one"
    assert "a bot does not answer what it caused itself: one → two" in details


def test_the_chain_goes_through_bots_that_start_bots(
    door: Door, store: Callable[..., Stored], publish: Callable[..., str], route: Any,
    execution: Callable[..., str], now: int,
) -> None:  # fmt: skip
    store("name: one\ntriggers: [{event: custom.go}, {event: execution.failed}]")
    publish("custom.go")
    route()
    (parent,) = rows(door, ExecutionRow)
    child = door.write_now(
        lambda: execution(bot_name="child", parent_id=parent.id, trigger_kind="bot")
    )

    finish(door, child, now)

    event = next(row for row in rows(door, EventRow) if row.name == "execution.failed")
    assert loads(event.chain) == ["one", "child"]
    assert route().decisions == {"depth": 1}


def test_a_chain_ends_at_depth_eight_with_a_row_that_says_so(
    door: Door,
    store: Callable[..., Stored],
    publish: Callable[..., str],
    route: Any,
    seconds: Any,
    now: int,
) -> None:
    for number in range(12):
        store(f"name: bot-{number:02}\ntriggers: [{{event: custom.step{number}}}]")
        before = f"name: bot-{number:02}\ntriggers: [{{event: execution.failed, "
        condition = f"if: \"trigger.event.data.bot == 'bot-{number - 1:02}'\"}}]"
        if number:
            store(before + condition)
    seconds[0] = 2.0
    publish("custom.step0")
    for _ in range(12):
        route()
        for row in rows(door, ExecutionRow):
            if row.finished_at is None:
                finish(door, row.id, now)

    made = sorted(rows(door, ExecutionRow), key=lambda row: row.bot_name)
    assert [row.bot_name for row in made] == [f"bot-{number:02}" for number in range(9)]
    assert [row.depth for row in made] == list(range(9))
    (last,) = [d for d in decisions(door) if d[0] == "depth" and "times" in d[1]]
    assert last[1].startswith("bots have started each other 8 times: bot-00 → bot-01")


def test_a_skipped_answer_to_a_skip_comes_to_an_end(
    door: Door, store: Callable[..., Stored], publish: Callable[..., str], route: Any
) -> None:
    for name in ("one", "two"):
        store(f"name: {name}\ntriggers: [{{event: trigger.skipped, overlap: skip}}]")
    store("name: busy\ntriggers: [{event: custom.*, overlap: skip}]")
    for _ in range(4):
        publish("custom.go")
        route()
    for _ in range(10):
        routed = route()
    assert routed == Routed()
    assert len(names(door)) < 40


# waits


@pytest.fixture
def wait(door: Door, execution: Callable[..., str], now: int) -> Callable[..., str]:
    """An execution with a step that waits, as the engine writes it."""
    from codex32.engine.records.awaiting import Subscription, subscribe
    from codex32.kernel.outcomes import EventAwaited

    def waiting(pattern: str, condition: str | None = None, **values: Any) -> str:
        def work() -> str:
            execution_id = execution(status="waiting", started_at=now)
            StepRow.create(
                execution_id=execution_id, step="w", status="waiting", tries=1, effect="none"
            )
            awaited = EventAwaited(pattern, condition, values)
            subscribe([Subscription("default", execution_id, "w", -1, awaited, now)])
            return execution_id

        return door.write_now(work)

    return waiting


def test_an_event_wakes_who_waits_and_is_the_answer(
    door: Door, wait: Callable[..., str], publish: Callable[..., str], route: Any, told: Any
) -> None:
    waiting = wait("custom.paid", "event.data.order == values.order", order=7)
    other = wait("custom.x")
    publish("custom.paid", {"order": 6})
    publish("custom.paid", "of another shape")
    assert route() == Routed(events=2)

    event_id = publish("custom.paid", {"order": 7})
    publish("custom.paid", {"order": 7, "late": True})
    assert route() == Routed(events=2, woken=1)

    answers = {row.execution_id: row.answer for row in rows(door, SubscriptionRow)}
    assert loads(answers[waiting] or "null")["id"] == event_id
    assert answers[other] is None
    statuses = {row.id: row.status for row in rows(door, ExecutionRow)}
    assert statuses == {waiting: "queued", other: "waiting"}
    door.close()  # which waits until all is told
    assert told.count(waiting) == 1


def test_what_was_there_before_the_wait_is_not_what_it_waits_for(
    door: Door, wait: Callable[..., str], publish: Callable[..., str], route: Any
) -> None:
    publish("custom.paid", "before")
    wait("custom.paid")
    assert route() == Routed(events=1)
    publish("custom.paid", "after")
    assert route() == Routed(events=1, woken=1)


def test_waits_are_forgotten_when_they_are_over(
    door: Door, wait: Callable[..., str], now: int
) -> None:
    ended, done, going = (wait("custom.paid") for _ in range(3))

    def end() -> None:
        ExecutionRow.update(finished_at=now).where(ExecutionRow.id == ended).execute()
        StepRow.update(status="succeeded").where(StepRow.execution_id == done).execute()

    door.write_now(end)
    assert asyncio.run(tidy(door)) == 2
    assert [row.execution_id for row in rows(door, SubscriptionRow)] == [going]


def test_who_listens_is_told_before_anything_is_published(
    door: Door, wait: Callable[..., str], store: Callable[..., Stored], components: Components
) -> None:
    store("name: listens\ntriggers: [{event: custom.*}]")
    waiting = wait("custom.paid")
    found = door.read_now(lambda: events.audience("custom.paid", components.trigger_types))
    assert (found.bots, found.executions) == (["listens"], [waiting])


def test_the_scheduler_asks_indexes_alone(door: Door, execution: Callable[..., str]) -> None:
    """The look that is made twice a second reads nothing but the partial index."""
    if not is_sqlite():
        return
    sql = "EXPLAIN QUERY PLAN SELECT id FROM event WHERE delivered_at IS NULL LIMIT 1"
    with transaction(door.database):
        plan = door.database.execute_sql(sql).fetchall()
    assert "event_undelivered" in plan[0][-1]
    assert TriggerRow.select().count() == 0
