"""Streams tell every listener everything, once and in order, also when it comes back."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio

from codex32.kernel.clock import from_micros
from codex32.kernel.database import Door, announce, connect, is_sqlite
from codex32.kernel.events import BotFailed, ExecutionFinished, WorkerLost
from codex32.kernel.ids import new_id
from codex32.kernel.models import AttemptRow, EventRow, ExecutionRow, LogLineRow, StepRow
from codex32.kernel.outbound_rows import FeedRow
from codex32.services.events import (
    events,
    feed_executions,
    feed_mailbox,
    feed_marks,
    feed_rows,
    feeds,
)
from codex32.services.events.feed_events import Filter
from codex32.services.events.feeds import Feeds
from codex32.services.events.outbox import Outbox

DEADLINE = 60
ONLY_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def outbox(components, payloads) -> Outbox:
    return Outbox(components.trigger_types, payloads)


@pytest.fixture
def door(open_door: Callable[..., Door], outbox: Outbox) -> Door:
    return open_door(outbox=outbox.keep)


@pytest_asyncio.fixture
async def streams(door, manual_clock, monkeypatch):
    monkeypatch.setattr(feeds, "PAUSE_SECONDS", 0.02)
    streams = Feeds(door, manual_clock)
    yield streams
    await streams.close()


class Listener:
    """Takes a stream down as it comes."""

    def __init__(self, stream: Any) -> None:
        self.told: list[Any] = []
        self.task = asyncio.ensure_future(self._listen(stream))

    async def _listen(self, stream: Any) -> None:
        async with contextlib.aclosing(stream):
            async for several in stream:
                self.told += several

    @property
    def position(self) -> str:
        return next(told.id for told in reversed(self.told) if told.id)

    def of(self, kind: str, key: str) -> list[Any]:
        return [json.loads(told.data)[key] for told in self.told if told.kind == kind]

    def kinds(self) -> list[str]:
        return [told.kind for told in self.told]

    async def until(self, holds: Callable[["Listener"], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not holds(self):
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.task

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def line(execution_id: str, message: str, at: int) -> None:
    LogLineRow.insert(execution_id=execution_id, at=at, level="info", message=message).execute()


def step(execution_id: str, name: str, at: int, status: str = "succeeded", **more: Any) -> None:
    row = {"execution_id": execution_id, "step": name, "item": -1, "status": status, **more}
    finished = None if status == "running" else at
    StepRow.delete().where(
        (StepRow.execution_id == execution_id) & (StepRow.step == name)
    ).execute()
    StepRow.insert({**row, "started_at": at, "finished_at": finished}).execute()


def begin(execution_id: str, at: int) -> None:
    ExecutionRow.update(status="running", attempt=ExecutionRow.attempt + 1, attempt_at=at).where(
        ExecutionRow.id == execution_id
    ).execute()


def stop(execution_id: str, at: int, outcome: str) -> None:
    row = ExecutionRow.get_by_id(execution_id)
    status = {"lost": "queued", "released": "queued"}.get(outcome, outcome)
    AttemptRow.insert(
        execution_id=execution_id,
        number=row.attempt,
        worker="prc_1",
        started_at=row.attempt_at,
        ended_at=at,
        outcome=outcome,
    ).execute()
    final = status in ("succeeded", "failed", "cancelled")
    ExecutionRow.update(status=status, finished_at=at if final else None).where(
        ExecutionRow.id == execution_id
    ).execute()


async def rested(streams: Feeds) -> None:
    """Until nobody looks any more."""
    async with asyncio.timeout(DEADLINE):
        while streams._looking is not None:
            await asyncio.sleep(0.01)


async def do(door: Door, *works: Callable[[], Any]) -> None:
    """Each in a transaction of its own, in order."""
    for work in works:
        await door.write(work)


# one execution


async def test_an_execution_is_told_from_its_beginning_to_its_end(door, streams, execution, now):
    exe = await door.write(execution)
    listener = Listener(streams.execution(exe))
    await listener.until(lambda it: it.of("status", "status") == ["queued"])
    await do(
        door,
        lambda: begin(exe, now + 1),
        lambda: line(exe, "one", now + 2),
        lambda: step(exe, "a", now + 3),
    )
    await listener.until(lambda it: "step" in it.kinds())
    await do(
        door,
        lambda: line(exe, "two", now + 4),
        lambda: stop(exe, now + 5, "succeeded"),
    )
    await listener.end()
    assert listener.kinds() == ["status", "status", "log", "step", "log", "status"]
    assert listener.of("status", "status") == ["queued", "running", "succeeded"]
    assert listener.of("log", "message") == ["one", "two"]


async def test_who_comes_after_the_end_is_told_the_whole_story(door, streams, execution, now):
    exe = await door.write(execution)
    await do(
        door,
        lambda: begin(exe, now + 1),
        lambda: line(exe, "one", now + 2),
        lambda: stop(exe, now + 3, "lost"),
        lambda: begin(exe, now + 4),
        lambda: step(exe, "a", now + 5),
        lambda: stop(exe, now + 6, "waiting"),
        lambda: begin(exe, now + 7),
        lambda: line(exe, "two", now + 8),
        lambda: stop(exe, now + 9, "failed"),
    )
    listener = Listener(streams.execution(exe))
    await listener.end()
    told = "queued running queued running waiting running failed"
    assert listener.of("status", "status") == told.split()
    kinds = "status status log status status step status status log status"
    assert listener.kinds() == kinds.split()


@pytest.mark.parametrize("page", [1000, 2])
async def test_who_comes_back_at_any_position_misses_nothing_and_hears_nothing_twice(
    door, streams, execution, now, page, monkeypatch
):
    monkeypatch.setattr(feed_executions, "PAGE", page)
    exe = await door.write(execution)
    await do(door, lambda: begin(exe, now + 1))
    for n in range(3):
        await do(
            door,
            lambda n=n: line(exe, f"first {n}", now + 10 * n + 2),
            lambda n=n: step(exe, f"s{n}", now + 10 * n + 3),
            lambda n=n: line(exe, f"second {n}", now + 10 * n + 4),
        )
    await do(door, lambda: stop(exe, now + 100, "succeeded"))
    whole = Listener(streams.execution(exe))
    await whole.end()
    assert len(whole.told) == 12
    for place, told in enumerate(whole.told):
        rest = Listener(streams.execution(exe, told.id))
        await rest.end()
        assert rest.told == whole.told[place + 1 :]


async def test_a_step_that_goes_on_is_told_as_it_stands_and_finished_ones_once(
    door, streams, execution, now
):
    exe = await door.write(execution)
    await do(door, lambda: begin(exe, now), lambda: step(exe, "a", now + 1, "running", tries=1))
    listener = Listener(streams.execution(exe))
    await listener.until(lambda it: it.of("step", "status") == ["running"])
    await do(door, lambda: step(exe, "a", now + 1, "running", tries=2))
    await listener.until(lambda it: it.of("step", "tries") == [1, 2])
    position = listener.position
    await listener.leave()
    again = Listener(streams.execution(exe, position))
    await again.until(lambda it: it.of("step", "tries") == [2])
    await do(door, lambda: step(exe, "a", now + 2), lambda: stop(exe, now + 3, "succeeded"))
    await again.end()
    assert again.of("step", "status") == ["running", "succeeded"]
    assert again.of("status", "status") == ["succeeded"]


async def test_a_position_that_the_rows_do_not_know_is_said_to_be_a_gap(
    door, streams, execution, now
):
    exe = await door.write(execution)
    await do(
        door,
        lambda: begin(exe, now),
        lambda: step(exe, "late", now + 5),
        lambda: line(exe, "one", now + 6),
    )
    listener = Listener(streams.execution(exe))
    await listener.until(lambda it: {"log", "step"} <= set(it.kinds()))
    position = listener.position
    await listener.leave()
    await rested(streams)
    # A clock that went before: what is recorded now sorts before what was told.
    await do(door, lambda: step(exe, "early", now + 1), lambda: stop(exe, now + 9, "succeeded"))
    for after in (position, "nonsense"):
        again = Listener(streams.execution(exe, after))
        await again.end()
        assert again.kinds()[0] == "gap"
        assert sorted(again.of("step", "step")) == ["early", "late"]


async def test_a_live_listener_hears_of_a_step_whose_clock_went_before(
    door, streams, execution, now
):
    exe = await door.write(execution)
    await do(door, lambda: begin(exe, now), lambda: step(exe, "late", now + 5))
    listener = Listener(streams.execution(exe))
    await listener.until(lambda it: "step" in it.kinds())
    await do(door, lambda: step(exe, "early", now + 1))
    await listener.until(lambda it: it.of("step", "step") == ["late", "early"])
    position = listener.position
    await do(door, lambda: stop(exe, now + 9, "succeeded"))
    await listener.end()
    again = Listener(streams.execution(exe, position))
    await again.end()
    assert again.kinds() == ["status"]


async def test_an_execution_that_is_let_go_ends_its_streams(door, streams, execution):
    exe = await door.write(execution)
    listener = Listener(streams.execution(exe))
    await listener.until(lambda it: it.kinds() == ["status"])
    await do(door, ExecutionRow.delete().execute)
    await listener.end()
    gone = Listener(streams.execution(exe))
    await gone.end()
    assert gone.told == []


async def test_two_hundred_listeners_all_hear_all_lines(door, streams, execution, now):
    ids = [await door.write(execution) for _ in range(10)]
    listeners = [Listener(streams.execution(ids[n % 10])) for n in range(200)]

    async def work(exe: str) -> None:
        await do(door, lambda: begin(exe, now))
        for n in range(50):
            await do(door, lambda n=n: [line(exe, f"{exe} {n} {m}", now + n) for m in range(4)])
        await do(door, lambda: stop(exe, now + 99, "succeeded"))

    await asyncio.gather(*(work(exe) for exe in ids))
    for listener in listeners:
        await listener.end()
    for n, listener in enumerate(listeners):
        exe = ids[n % 10]
        lines = [f"{exe} {i} {m}" for i in range(50) for m in range(4)]
        assert listener.of("log", "message") == lines
        assert listener.of("status", "status") == ["queued", "running", "succeeded"]
    assert streams.streams == 0


@pytest.mark.parametrize("patience", [60.0, 0.0])
async def test_who_falls_behind_reads_the_rest_from_the_rows_or_is_let_go(
    door, streams, execution, now, monkeypatch, patience
):
    monkeypatch.setattr(feed_mailbox, "MOST_WAITING", 15)
    monkeypatch.setattr(feeds, "CATCH_UP_SECONDS", patience)
    exe = await door.write(execution)
    await do(door, lambda: begin(exe, now))
    quick, slow = Listener(streams.execution(exe)), []
    async with contextlib.aclosing(streams.execution(exe)) as stream:
        async for several in stream:
            slow += several
            if len(slow) == 3:
                # It takes one line, and forty come before it takes the next.
                for n in range(4):
                    await do(door, lambda: [line(exe, "x", now) for _ in range(10)])
                    await quick.until(lambda it, n=n: len(it.of("log", "id")) == 10 * n + 11)
                await do(door, lambda: stop(exe, now, "succeeded"))
            elif len(slow) == 2:
                await do(door, lambda: line(exe, "first", now))
    await quick.end()
    if patience:
        assert slow == quick.told
    else:
        assert slow[-1].kind == "cut"
        assert "Last-Event-ID" in slow[-1].data
        rest = Listener(streams.execution(exe, slow[-2].id))
        await rest.end()
        assert [*slow[:-1], *rest.told] == quick.told


# commits that overlap


@ONLY_POSTGRESQL
async def test_a_line_that_is_committed_later_with_a_smaller_number_is_told_in_its_place(
    door, streams, execution, now, database_url
):
    exe = await door.write(execution)
    await do(door, lambda: begin(exe, now))
    listener = Listener(streams.execution(exe))
    await listener.until(lambda it: len(it.told) == 2)
    slow = connect(database_url)
    sql = (
        "INSERT INTO log_line (execution_id, step, item, at, level, message) "
        f"VALUES ('{exe}', '', -1, {now + 1}, 'info', 'slow')"
    )
    await asyncio.to_thread(lambda: (slow.begin(), slow.execute_sql(sql)))
    await do(door, lambda: line(exe, "quick", now + 2))
    for _ in range(20):  # looks come and go, and none reads past what is not committed
        await door.read(feed_marks.take)
        await asyncio.sleep(0.01)
    assert "log" not in listener.kinds()
    await asyncio.to_thread(lambda: (slow.commit(), slow.close()))
    await listener.until(lambda it: len(it.of("log", "id")) == 2)
    assert listener.of("log", "message") == ["slow", "quick"]


@ONLY_POSTGRESQL
async def test_an_event_that_is_committed_later_with_a_smaller_number_is_told_in_its_place(
    door, streams, now, database_url, publish, manual_clock
):
    listener = Listener(streams.events(Filter("default")))
    await heard(door, manual_clock, listener)
    await publish("custom.first")
    await listener.until(lambda it: it.of("event", "name") == ["custom.first"])
    slow = connect(database_url)
    sql = (
        "INSERT INTO event (id, workspace, name, at, data, chain) "
        f"VALUES ('evt_slow', 'default', 'custom.slow', {now}, '1', '[]')"
    )
    await asyncio.to_thread(lambda: (slow.begin(), slow.execute_sql(sql)))
    await publish("custom.quick")
    for _ in range(20):
        await door.read(feed_marks.take)
        await asyncio.sleep(0.01)
    assert len(listener.of("event", "name")) == 1
    await asyncio.to_thread(lambda: (slow.commit(), slow.close()))
    await listener.until(lambda it: len(it.of("event", "name")) == 3)
    assert listener.of("event", "name") == ["custom.first", "custom.slow", "custom.quick"]


@ONLY_POSTGRESQL
async def test_a_transaction_that_never_ends_is_not_waited_for_for_ever(
    door, database_url, monkeypatch, caplog
):
    monkeypatch.setattr(feed_marks, "PATIENCE_SECONDS", 0.05)
    slow = connect(database_url)
    await asyncio.to_thread(
        lambda: (slow.begin(), slow.execute_sql("DELETE FROM log_line WHERE id < 0"))
    )
    marks = await door.read(feed_marks.take)
    assert len(marks.writers) == 1
    await feed_marks.settle(door, marks)
    assert "are not waited for" in caplog.text
    await asyncio.to_thread(lambda: (slow.rollback(), slow.close()))
    assert await door.read(feed_marks.still_writing, marks.writers) == ()


# events


@pytest.fixture
def publish(door, now):
    async def published(name: str, data: Any = None, workspace: str = "default") -> str:
        wish = events.Publish(name, data, now, new_id("evt"), workspace=workspace)
        return (await events.publish(door, wish)).id

    return published


def ready(listener: Listener) -> bool:
    return "ready" in listener.kinds()


async def heard(door, manual_clock, *listeners: Listener, feeds: int = 1) -> None:
    """Let so much time go, once their feeds are there, that every process knows of them."""
    async with asyncio.timeout(DEADLINE):
        now = manual_clock.micros()
        while await door.read(FeedRow.select().where(FeedRow.kept_until > now).count) < feeds:
            await asyncio.sleep(0.01)
    manual_clock.advance(feed_rows.HEARD_MICROS / 1e6)
    for listener in listeners:
        await listener.until(ready)


async def test_events_come_to_those_who_want_them_in_their_workspace_alone(
    door, streams, publish, manual_clock
):
    listeners = [
        Listener(streams.events(wanted))
        for wanted in (
            Filter("default"),
            Filter("default", "custom.a*"),
            Filter("other"),
            Filter("default", bot="ping"),
        )
    ]
    await heard(door, manual_clock, *listeners, feeds=3)
    await publish("custom.a1")
    await publish("custom.b", {"bot": "ping"})
    await publish("custom.a2", workspace="other")
    await publish("custom.a3", {"bot": "pong"})
    wanted = [
        ["custom.a1", "custom.b", "custom.a3"],
        ["custom.a1", "custom.a3"],
        ["custom.a2"],
        ["custom.b"],
    ]
    for listener, names in zip(listeners, wanted, strict=True):
        await listener.until(lambda it, names=names: len(it.of("event", "name")) >= len(names))
        assert listener.of("event", "name") == names


def finished(execution_id: str, now: int, workspace: str = "default") -> None:
    announce(
        ExecutionFinished(
            at=from_micros(now),
            workspace=workspace,
            execution_id=execution_id,
            bot="ping",
            status="failed",
            cause="error",
            message="no luck",
            duration_seconds=1.0,
        )
    )


async def test_what_the_house_tells_is_written_while_a_stream_is_open_for_its_workspace_alone(
    door, streams, execution, now, manual_clock
):
    mine = await door.write(lambda: execution(created_at=now))
    other = await door.write(lambda: execution(workspace="other"))
    await do(door, lambda: finished(mine, now))  # nobody listens yet
    listener = Listener(streams.events(Filter("default", "execution.*", statuses=True)))
    await heard(door, manual_clock, listener)
    # The outbox of this process knew for a second that nobody listens.
    async with asyncio.timeout(DEADLINE):
        while not await door.read(EventRow.select().count):
            await do(door, lambda: finished(other, now, "other"), lambda: finished(mine, now))
            await asyncio.sleep(0.05)
    await listener.until(lambda it: "status" in it.kinds())
    assert set(listener.of("status", "execution")) == {mine}
    assert listener.of("status", "status")[0] == "failed"
    assert listener.of("status", "message")[0] == "no luck"
    assert {row.workspace for row in await door.read(lambda: list(EventRow.select()))} == {
        "default"
    }


async def test_who_comes_back_to_events_misses_none_and_is_told_that_nothing_is_missing(
    door, streams, publish, manual_clock
):
    first = Listener(streams.events(Filter("default")))
    await heard(door, manual_clock, first)
    start = first.position
    for n in range(5):
        await publish(f"custom.n{n}")
    await first.until(lambda it: len(it.of("event", "name")) == 5)
    await first.leave()
    await publish("custom.meanwhile")
    everything = [told for told in first.told if told.kind == "event"]
    for place in range(-1, 5):
        after = everything[place].id if place >= 0 else start
        again = Listener(streams.events(Filter("default"), after))
        await again.until(lambda it: ready(it) and "custom.meanwhile" in it.of("event", "name"))
        assert sorted(again.kinds()) == ["event"] * (6 - place - 1) + ["ready"]
        await again.leave()


async def test_a_position_before_anybody_listened_or_of_what_is_gone_is_a_gap(
    door, streams, publish, manual_clock
):
    await publish("custom.before")
    before = await door.read(lambda: EventRow.get().seq)
    first = Listener(streams.events(Filter("default")))
    await heard(door, manual_clock, first)
    await publish("custom.after")
    await first.until(lambda it: "event" in it.kinds())
    known = first.position
    await first.leave()
    for after in (str(before - 1), "nonsense", "1" * 17):
        again = Listener(streams.events(Filter("default"), after))
        await again.until(ready)
        assert again.kinds()[0] == ("ready" if after == "1" * 17 else "gap")
        await again.leave()
    # Retention has let go of it, and of what followed.
    await publish("custom.lost")
    await publish("custom.kept")
    gone = EventRow.delete().where(EventRow.name != "custom.kept")
    await do(door, gone.execute)
    again = Listener(streams.events(Filter("default"), known))
    await again.until(lambda it: ready(it) and "event" in it.kinds())
    assert again.kinds()[0] == "gap"
    assert again.of("event", "name") == ["custom.kept"]
    await again.leave()


async def test_a_feed_that_lapsed_begins_anew(door, streams, publish, manual_clock):
    first = Listener(streams.events(Filter("default")))
    await heard(door, manual_clock, first)
    await publish("custom.one")
    await first.until(lambda it: "event" in it.kinds())
    position = first.position
    await first.leave()
    manual_clock.advance(feed_rows.KEPT_SECONDS + 1)
    again = Listener(streams.events(Filter("default"), position))
    await again.until(lambda it: it.kinds() == ["gap"])
    await heard(door, manual_clock, again)
    await again.leave()
    manual_clock.advance(2 * 86_400)
    last = Listener(streams.events(Filter("other")))
    await last.until(lambda _: True)
    async with asyncio.timeout(DEADLINE):
        while await door.read(lambda: FeedRow.select().count()) != 1:
            await asyncio.sleep(0.01)
    await last.leave()


async def test_two_processes_share_what_is_known_of_a_feed(
    door, open_door, outbox, streams, publish, manual_clock
):
    first = Listener(streams.events(Filter("default")))
    await heard(door, manual_clock, first)
    await publish("custom.one")
    await first.until(lambda it: "event" in it.kinds())
    other = Feeds(open_door(outbox=outbox.keep), manual_clock)
    again = Listener(other.events(Filter("default"), first.told[0].id))
    await again.until(ready)
    assert again.kinds() == ["event", "ready"]
    await other.close()
    await again.end()


async def test_a_lost_worker_and_a_broken_file_are_told_where_they_matter(
    door, streams, execution, now, manual_clock
):
    mine = await door.write(execution)
    theirs = await door.write(lambda: execution(workspace="other"))
    listeners = [
        Listener(streams.events(Filter("default"))),
        Listener(streams.events(Filter("other"))),
    ]
    await heard(door, manual_clock, *listeners, feeds=2)

    def tell() -> None:
        at = from_micros(now)
        announce(WorkerLost(at=at, worker=new_id("prc"), executions=(mine, theirs)))
        announce(BotFailed(at=at, bot="b", source="b.yaml", problems=("x",), workspace="other"))

    async with asyncio.timeout(DEADLINE):
        while not await door.read(EventRow.select().count):
            await do(door, tell)
            await asyncio.sleep(0.05)
    await listeners[1].until(lambda it: len(it.of("event", "name")) == 2)
    await listeners[0].until(lambda it: len(it.of("event", "name")) == 1)
    assert [data["executions"] for data in listeners[0].of("event", "data")] == [[mine]]
    told = listeners[1].of("event", "data")
    assert told[0]["executions"] == [theirs]
    assert listeners[1].of("event", "name") == ["worker.lost", "bot.failed"]


async def test_nobody_looks_while_nobody_listens(door, streams, execution):
    exe = await door.write(execution)
    listener = Listener(streams.execution(exe))
    await listener.until(lambda it: it.kinds() == ["status"])
    await listener.leave()
    await rested(streams)
    again = Listener(streams.execution(exe))
    await again.until(lambda it: it.kinds() == ["status"])
    assert not is_sqlite() or (await door.read(feed_marks.take)).writers == ()
