from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from codex32.api.routes.metrics import _text
from codex32.engine.records.advance import Advance, Claim, End, StepRecord
from codex32.engine.records.happenings import Recorded
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.llm import Usage
from codex32.kernel.contracts.notifier import Notification, Notifier
from codex32.kernel.contracts.program import ProgramHost, ProgramResult, ProgramRunner
from codex32.kernel.database import Door
from codex32.kernel.errors import ProviderRejected
from codex32.kernel.events import (
    AttemptFinished,
    ExecutionFinished,
    ExecutionQueued,
    StepFinished,
    TriggerFired,
    WorkerLost,
)
from codex32.kernel.ids import first_id
from codex32.kernel.metric_rows import MetricRow, ProcessRow
from codex32.kernel.models import BotRow, TriggerRow
from codex32.kernel.pools import Pool
from codex32.kernel.statuses import StepStatus
from codex32.services.ai.ledger import Settlement
from codex32.services.metering import looking
from codex32.services.metering.around import CountedPrograms, CountedSending
from codex32.services.metering.catalogue import COUNTED, EXECUTIONS, LOOKED_UP
from codex32.services.metering.meter import MOST_SERIES, Meter
from codex32.services.upkeep import processes

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
ABOUT = {"at": AT, "workspace": "default", "execution_id": "exe_1", "bot": "ping"}


def ended(status: str = "succeeded", cause: str | None = None, kind: str = "http") -> object:
    return ExecutionFinished(
        **ABOUT, status=status, cause=cause, message="", bot_type=kind, duration_seconds=0.2
    )


def step(kind: str, seconds: float, status: str = "succeeded") -> object:
    return StepFinished(
        **ABOUT, step="a", type=kind, item=None, status=status, duration_seconds=seconds
    )


async def counted(door: Door) -> dict[str, dict[tuple[str, ...], dict[str, int]]]:
    found = await door.read(looking.counted)
    return {each.metric.name: dict(each.values) for each in found}


def stand(door: Door, now: int) -> dict[str, dict[tuple[str, ...], float]]:
    return {metric.name: dict(values) for metric, values in door.read_now(looking.looked_up, now)}


async def test_what_several_processes_count_is_added_up(door: Door) -> None:
    one, other = Meter(), Meter()
    for meter in (one, other, one):
        meter.take_note([ended(), "an id", ended("failed", "timeout"), step("http", 0.3)])
        meter.take_note([ended(kind="mixed")])
        await meter.keep(door)
    await one.keep(door)  # nothing new
    found = await counted(door)
    assert found["executions"] == {
        ("failed", "timeout", "http"): {"": 3},
        ("succeeded", "", "http"): {"": 3},
        ("succeeded", "", "mixed"): {"": 3},
    }
    assert found["steps"] == {("http", "succeeded"): {"": 3}}
    assert found["step_seconds"] == {("http",): {"0.5": 3, "sum": 900_000}}


async def test_requests_to_models_are_counted_by_provider_alone(door: Door) -> None:
    meter = Meter()
    for number in range(1000):
        paid = Settlement(f"mat_{number}", "settled", 0, cost_nano=5, usage=Usage(100, 20))
        meter.model_request(f"one:model-{number}", paid)
    meter.model_request("one:model", Settlement("mat_x", "released", 0, fault="unavailable"))
    await meter.keep(door)
    found = await counted(door)
    assert found["model_requests"] == {
        ("one", "answered"): {"": 1000},
        ("one", "unavailable"): {"": 1},
    }
    assert found["model_tokens"] == {
        ("one", "input"): {"": 100_000},
        ("one", "output"): {"": 20_000},
    }
    assert found["model_cost_usd"] == {("one",): {"": 5000}}


async def test_switched_off_it_counts_nothing(door: Door) -> None:
    meter = Meter()
    meter.counting = False
    meter.take_note([ended()])
    meter.model_request("one:model", Settlement("mat_x", "released", 0, fault="unavailable"))
    await meter.keep(door)
    assert await door.read(lambda: MetricRow.select().count()) == 0


async def test_how_many_writes_share_a_commit_can_be_told(door: Door) -> None:
    meter = Meter()
    meter.take_note([ended()])
    await meter.keep(door)
    before = door.commits, door.writes
    begun, go = threading.Event(), threading.Event()
    first = asyncio.create_task(door.write(lambda: begun.set() or go.wait(60)))
    await asyncio.to_thread(begun.wait, 60)
    others = [asyncio.create_task(door.write(lambda: None)) for _ in range(20)]
    await asyncio.sleep(0)  # each has put its write
    go.set()
    await asyncio.gather(first, *others)
    meter.take_note([ended()])
    await meter.keep(door)
    parts = dict((await counted(door))["database_commit_writes"][()])
    # The write that added them up is counted with the next.
    assert parts.pop("sum") == before[1] + 21
    assert parts == {"1.0": before[0] + 1, "32.0": 1}


async def test_reads_that_find_all_threads_busy_are_counted_and_how_long_they_wait(
    door: Door,
) -> None:
    meter, go = Meter(), threading.Event()
    begun = [threading.Event() for _ in range(4)]
    reads = [door.read(lambda each=each: each.set() or go.wait(60)) for each in begun]
    tasks = [asyncio.create_task(each) for each in reads]
    for each in begun:
        assert await asyncio.to_thread(each.wait, 60)
    late = [asyncio.create_task(door.read(lambda: None)) for _ in range(3)]
    await asyncio.sleep(0)
    assert door.pools()["database_readers"] == Pool(size=4, in_use=4, waiting=3)
    late.pop().cancel()
    await asyncio.sleep(0)
    assert door.pools()["database_readers"].waiting == 2
    go.set()
    await asyncio.gather(*tasks, *late)
    assert door.pools()["database_readers"] == Pool(size=4, in_use=0)
    meter.take_note([ended()])
    await meter.keep(door)
    found = await counted(door)
    assert found["database_read_waits"] == {(): {"": 2}}
    assert found["database_read_wait_seconds"][()][""] > 0


async def test_what_waits_for_the_writer_is_seen(door: Door) -> None:
    begun, go = threading.Event(), threading.Event()
    tasks = [asyncio.create_task(door.write(lambda: begun.set() or go.wait(60)))]
    assert await asyncio.to_thread(begun.wait, 60)
    tasks += [asyncio.create_task(door.write(lambda: None)) for _ in range(3)]
    await asyncio.sleep(0)
    assert door.pools()["database_writer"] == Pool(size=1, in_use=1, waiting=3)
    go.set()
    await asyncio.gather(*tasks)


async def test_durations_fall_into_the_bucket_of_their_bound(door: Door) -> None:
    meter = Meter()
    meter.take_note([step("set", seconds) for seconds in (0.0, 0.001, 0.002, 3600.0, 4000.0)])
    await meter.keep(door)
    (parts,) = (await counted(door))["step_seconds"].values()
    assert parts == {"0.001": 2, "0.005": 1, "3600.0": 1, "14400.0": 1, "sum": 7_600_003_000}


async def test_every_counted_event_has_its_metric(door: Door) -> None:
    meter = Meter()
    meter.take_note(
        [
            ExecutionQueued(**ABOUT, trigger="cron"),
            AttemptFinished(**ABOUT, attempt=1, outcome="waiting"),
            TriggerFired(
                at=AT, bot="ping", trigger="trg_1", decision="fired", execution_id="exe_1",
                late_seconds=0.02,
            ),
            TriggerFired(at=AT, bot="b", trigger="trg_1", decision="paused", execution_id=None),
            WorkerLost(at=AT, worker="prc_1", executions=()),
        ]
    )  # fmt: skip
    await meter.keep(door)
    found = await counted(door)
    assert found["executions_asked"] == {("cron",): {"": 1}}
    assert found["attempts"] == {("waiting",): {"": 1}}
    assert found["triggers"] == {("fired",): {"": 1}, ("paused",): {"": 1}}
    assert found["trigger_lateness_seconds"] == {(): {"0.025": 1, "sum": 20_000}}
    assert found["workers_lost"] == {(): {"": 1}}


async def test_what_cannot_be_written_is_counted_the_next_time(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Meter()
    meter.take_note([ended()])
    with monkeypatch.context() as away:
        away.setattr(MetricRow, "insert_many", broken)
        with pytest.raises(OSError, match="away"):
            await meter.keep(door)
    meter.take_note([ended()])
    await meter.keep(door)
    assert (await counted(door))["executions"] == {("succeeded", "", "http"): {"": 2}}


def broken(*_: object) -> None:
    raise OSError("the database is away")


def test_a_process_that_ends_adds_what_it_has(door: Door) -> None:
    meter = Meter()
    meter.take_note([ended()])
    meter.keep_now(door)
    (found,) = (each for each in door.read_now(looking.counted) if each.metric is EXECUTIONS)
    assert found.values == {("succeeded", "", "http"): {"": 1}}


async def test_a_thousand_bots_make_no_series_of_their_own(door: Door) -> None:
    meter = Meter()
    for number in range(1000):
        about = {**ABOUT, "bot": f"bot-{number}", "execution_id": f"exe_{number}"}
        meter.take_note(
            [
                ExecutionQueued(**about, trigger="manual"),
                ExecutionFinished(
                    **about,
                    status="succeeded",
                    cause=None,
                    message="",
                    bot_type="http",
                    duration_seconds=0.2,
                ),
            ]
        )
    await meter.keep(door)
    rows = await door.read(lambda: list(MetricRow.select().tuples()))
    assert len(rows) == 6
    assert not any("bot" in metric.labels for metric in (*COUNTED.values(), *LOOKED_UP))


async def test_how_long_an_execution_was_queued_is_told_and_nothing_of_one_that_never_began(
    door: Door,
) -> None:
    asked = to_micros(AT)
    about = {**ABOUT, "execution_id": first_id("exe", asked), "cause": None, "message": ""}
    meter = Meter()
    for late, lasted in ((3.0, 1.0), (0.0, 0.0), (7200.0, 7000.0)):
        at = AT + timedelta(seconds=late)
        meter.take_note(
            [ExecutionFinished(**{**about, "at": at}, status="failed", duration_seconds=lasted)]
        )
    await meter.keep(door)
    waits = (await counted(door))["execution_wait_seconds"]
    assert waits == {(): {"5.0": 1, "600.0": 1, "sum": 202_000_000}}


async def test_labels_that_become_many_count_together(door: Door) -> None:
    for start in range(0, 2000, 500):  # four processes, or four starts of one
        meter = Meter()
        for number in range(start, start + 500):
            meter.take_note([step(f"type-{number}", 0.2)])
            meter.program("namespace", f"fault-{number}")
        await meter.keep(door)
    found = await counted(door)
    assert len(found["steps"]) == len(found["programs"]) == MOST_SERIES + 1
    assert found["steps"]["other", "other"] == {"": 1500}
    assert found["step_seconds"]["other",] == {"0.5": 1500, "sum": 300_000_000}
    meter.take_note([step("type-7", 0.2)])  # one that was there before goes on by itself
    await meter.keep(door)
    assert (await counted(door))["steps"]["type-7", "succeeded"] == {"": 2}


async def test_what_a_plugin_calls_itself_spoils_no_answer(door: Door) -> None:
    meter = Meter()
    for name in ("\ud800", 'x"\n\\{}\0', "long" * 1000):
        meter.take_note([step(name, 0.2)])
    await meter.keep(door)
    text = (await door.read(_text, 0)).decode()
    told = {
        sample.labels["type"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "codex32_steps_total"
    }
    assert told == {"?", 'x"\n\\{}\0', ("long" * 1000)[:100]}


async def test_rows_of_another_version_are_left_out(door: Door) -> None:
    def write() -> None:
        MetricRow.insert(name="of_tomorrow", labels="[]", part="", value=1).execute()
        more = '["failed","error","http","one more"]'
        MetricRow.insert(name="executions", labels=more, part="", value=1).execute()

    await door.write(write)
    found = await counted(door)
    assert "of_tomorrow" not in found
    assert found["executions"] == {}


async def test_what_an_earlier_version_counted_goes_on_counting(door: Door) -> None:
    def write() -> None:
        for labels, value in (('["failed","error"]', 40), ('["failed","error",""]', 2)):
            MetricRow.insert(name="executions", labels=labels, part="", value=value).execute()

    await door.write(write)
    assert (await counted(door))["executions"] == {("failed", "error", ""): {"": 42}}


def test_how_the_house_stands_is_looked_up(
    door: Door, execution: Callable[..., str], now: int
) -> None:
    def write() -> None:
        execution(status="queued", created_at=now - 7_000_000)
        execution(status="running")
        execution(status="waiting")
        execution(status="failed", cause="error", finished_at=now)
        execution(status="failed", cause="error", finished_at=now, settled="{}")
        for name, values in {
            "active": {},
            "paused": {"paused": True},
            "broken": {"problems": "[]"},
            "gone": {"removed_at": now},
        }.items():
            BotRow.insert(
                id=name, workspace="default", name=name, origin="file", created_at=now,
                updated_at=now, **values,
            ).execute()  # fmt: skip
        TriggerRow.insert(
            id="trg_1", bot_id="active", key="k", kind="cron", definition="{}",
            next_at=now - 3_000_000, created_at=now,
        ).execute()  # fmt: skip

    door.write_now(write)
    found = stand(door, now)
    assert found["executions_open"] == {("queued",): 1, ("running",): 1, ("waiting",): 1}
    assert found["queue_oldest_seconds"] == {(): 7.0}
    assert found["dead_letters"] == {(): 1}
    assert found["bots"] == {("active",): 1, ("paused",): 1, ("broken",): 1}
    assert found["schedule_behind_seconds"] == {(): 3.0}
    assert found["approvals_open"] == found["webhook_deliveries_open"] == {(): 0}


def test_an_empty_house_stands_at_nothing(door: Door, now: int) -> None:
    found = stand(door, now)
    assert found["queue_oldest_seconds"] == found["schedule_behind_seconds"] == {(): 0.0}
    assert set(found) == {metric.name for metric in LOOKED_UP}


def test_pools_of_living_processes_count_together(door: Door, now: int) -> None:
    busy = {"redis": Pool(3, 1), "database_readers": Pool(4, 4, 2)}

    def write() -> None:
        processes.heartbeat("prc_1", "worker", now, now, busy)
        processes.heartbeat("prc_2", "worker", now, now, busy)
        processes.heartbeat("prc_3", "api", now, now, {"redis": Pool(1, 0)})
        processes.heartbeat("prc_4", "api", now, now - 60_000_000, busy)  # silent
        processes.heartbeat("prc_5", "scheduler", now, now)
        ProcessRow.update(pools=None).where(ProcessRow.id == "prc_5").execute()  # of before

    door.write_now(write)
    found = stand(door, now)
    assert found["pool_size"] == {
        ("api", "redis"): 1,
        ("worker", "database_readers"): 8,
        ("worker", "redis"): 6,
    }
    assert found["pool_in_use"]["worker", "database_readers"] == 8
    assert found["pool_waiting"] == {
        ("api", "redis"): 0,
        ("worker", "database_readers"): 4,
        ("worker", "redis"): 0,
    }


class Takes(ProgramRunner):
    async def run(self, program, host):
        if program == "queued":
            await asyncio.Event().wait()
        host.on_begin("namespace")
        if program == "endless":
            await asyncio.Event().wait()
        return ProgramResult(sandbox="namespace", code="" if program == "well" else "timeout")

    async def prepare(self):
        pass


class Refuses(Notifier):
    name = "refuses"

    async def send(self, notification, target, *, http, timeout_seconds):
        raise ProviderRejected("no")


async def test_programs_and_what_notifiers_do_not_take_are_counted(door: Door) -> None:
    meter = Meter()
    programs, send = CountedPrograms(meter, Takes()), CountedSending(meter)
    host = ProgramHost(lambda stream, line: None)
    for program in ("well", "well", "late"):
        await programs.run(program, host)
    for program in ("endless", "queued"):  # one is stopped with its step, one had not begun
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(programs.run(program, host), 0.05)
    with pytest.raises(ProviderRejected):
        await send(Refuses(), Notification("hello"), "ops", http=None, timeout_seconds=1)
    await meter.keep(door)
    found = await counted(door)
    assert found["programs"] == {
        ("namespace", "answered"): {"": 2},
        ("namespace", "stopped"): {"": 1},
        ("namespace", "timeout"): {"": 1},
    }
    assert found["notification_failures"] == {("refuses",): {"": 1}}


# what many executions did at once


def claim(execution_id: str, started_at: int = 0) -> Claim:
    asked = {"bot_id": "bot_1", "bot_name": "ping", "version_id": "ver_1", "version_number": 1}
    came = {"inputs": "{}", "trigger": "{}", "parent_id": None, "gate": None, "closing": None}
    counts = {"attempt": 2, "active_micros": 0, "depth": 0, "priority": 0, "cancel_at": None}
    times = {"started_at": started_at, "attempt_at": 40_000}
    return Claim(id=execution_id, worker="prc_1", **asked, **came, **counts, **times)


def record(step: str, status: str, item: int = -1, took: int | None = 3_000) -> StepRecord:
    begun = None if took is None else 50_000
    ended = None if took is None else 50_000 + took
    return StepRecord(step, item, status, 1, None, None, None, "none", None, begun, ended)


def told_together() -> Recorded:
    """Steps of every status, one that was stopped, and ends of every kind."""
    steps = [record(status, status, took=2_000 * place) for place, status in enumerate(StepStatus)]
    stopped = record("cut short", "cancelled", 3)
    types = {status.value: "set" for status in StepStatus} | {"failed": "http"}
    return Recorded(
        [
            Advance(claim("exe_1"), steps=steps, types=types),
            Advance(claim("exe_2"), steps=[stopped], stopped={("cut short", 3)}),
            Advance(claim("exe_3"), end=End("waiting", 60_000, "waiting")),
            Advance(claim("exe_4"), bot_type="set", end=End("succeeded", 70_123, "succeeded")),
            Advance(
                claim("exe_5", 39_999),
                steps=[record("never begun", "skipped", took=None)],
                end=End("failed", 9_000_000, "failed", "timeout", "too long"),
            ),
        ]
    )


async def test_what_is_told_together_counts_as_its_events_would(door: Door) -> None:
    recorded = told_together()
    events = list(recorded.events())
    assert [type(event).__name__ for event in events[-3:]] == [
        "StepFinished",
        "AttemptFinished",
        "ExecutionFinished",
    ]
    assert not [event for event in events if getattr(event, "step", "") == "cut short"]
    together, one_by_one = Meter(), Meter()
    together.take_note([recorded])
    one_by_one.take_note(events)
    await together.keep(door)
    once = await counted(door)
    await one_by_one.keep(door)
    twice = await counted(door)
    assert once["execution_seconds"] == {
        ("failed",): {"30.0": 1, "sum": 8_960_001},
        ("succeeded",): {"0.1": 1, "sum": 70_123},
    }
    assert once["steps"][("http", "failed")] == {"": 1}
    assert once["executions"] == {
        ("failed", "timeout", ""): {"": 1},
        ("succeeded", "", "set"): {"": 1},
    }
    histograms = "execution_seconds", "execution_wait_seconds", "step_seconds"
    for name in ("executions", "attempts", "steps", *histograms):
        assert twice[name] == {
            labels: {part: 2 * amount for part, amount in parts.items()}
            for labels, parts in once[name].items()
        }
