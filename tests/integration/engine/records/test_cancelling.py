"""Cancelling: one or many, with the children that are waited for, at any moment."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from codex32.engine.records import cancelling
from codex32.engine.running.attempt import Attempt
from codex32.kernel.batches import Insert
from codex32.kernel.database import Stop
from codex32.kernel.models import ExecutionRow, StepRow

CHILD = "name: child\nsteps: [{id: a, type: wait, with: {for: 1h}}]\n"
PARENT = """
name: parent
allow: {bots: [child]}
steps:
  - {id: kept, type: bot, with: {name: child, wait: false}}
  - {id: waited, type: bot, with: {name: child}}
"""


async def cancel(engine, manual_clock, *ids):
    work = partial(cancelling.cancel_many, ids, manual_clock.micros(), "cancelled by request")
    return await engine.door.write(work)


async def test_children_that_are_waited_for_are_cancelled_with_their_parent(engine, manual_clock):
    await engine.add(CHILD)
    await engine.add(PARENT)
    top = "name: top\nallow: {bots: [parent]}\ntype: bot\nwith: {name: parent}\n"
    execution = await engine.start(await engine.add(top))
    await engine.work()
    done = await cancel(engine, manual_clock, execution)
    assert done.asked == [execution]
    await engine.work()
    rows = await engine.door.read(lambda: list(ExecutionRow.select()))
    found = sorted((row.bot_name, row.status, row.message) for row in rows)
    assert found == [
        ("child", "cancelled", "its parent was stopped"),
        ("child", "waiting", ""),
        ("parent", "cancelled", "its parent was stopped"),
        ("top", "cancelled", "cancelled by request"),
    ]


async def test_a_child_ends_with_a_parent_that_ran_out_of_time(engine):
    await engine.add(CHILD)
    parallel = """
name: both
timeout: 300ms
allow: {bots: [child]}
steps:
  - {id: waited, type: bot, with: {name: child}, needs: []}
  - {id: busy, type: scripted, with: {do: hang}, needs: []}
"""
    engine.do("hang", lambda c, p: asyncio.Event().wait())
    execution = await engine.start(await engine.add(parallel))
    (claim,) = await engine.claim()
    await Attempt(engine.env, claim).run()
    row = (await engine.inspect(execution)).execution
    assert (row.status, row.cause) == ("failed", "timeout")
    await engine.work()
    rows = await engine.door.read(lambda: list(ExecutionRow.select()))
    child = [(each.status, each.message) for each in rows if each.bot_name == "child"]
    assert child == [("cancelled", "its parent was stopped")]


async def test_a_cancellation_just_before_a_wait_is_heard(engine, manual_clock):
    execution = await engine.start(await engine.add(CHILD))
    (claim,) = await engine.claim()
    engine.events.clear()
    await cancel(engine, manual_clock, execution)
    await Attempt(engine.env, claim).run()  # which has heard of nothing
    assert (await engine.inspect(execution)).execution.status == "queued"
    assert [each for each in engine.events if isinstance(each, Stop)] == [execution]
    await engine.work()
    assert (await engine.inspect(execution)).execution.status == "cancelled"


async def test_closing_steps_may_wait_until_somebody_cancels_once_more(engine, manual_clock):
    text = """
steps: [{id: a, type: wait, with: {for: 1h}}]
finally:
  - {id: pause, type: wait, with: {for: 1h}}
"""
    execution = await engine.start(await engine.add(text))
    await engine.work()
    await cancel(engine, manual_clock, execution)
    await engine.work()
    row = (await engine.inspect(execution)).execution
    assert (row.status, row.cancel_at) == ("waiting", None)
    await cancel(engine, manual_clock, execution)
    await engine.work()
    assert (await engine.inspect(execution)).execution.status == "cancelled"


async def test_thousands_are_cancelled_however_they_stand(engine, manual_clock):
    now = manual_clock.micros()
    engine.do("hang", lambda c, p: None)
    gated = "name: gated\nconcurrency: {limit: 1}\ntype: wait\nwith: {for: 1h}\n"
    bot = await engine.add(gated)
    for _ in range(20):
        await engine.start(bot)
    unknown = await engine.start(await engine.add("name: doubt\ntype: wait\nwith: {for: 1h}\n"))
    await engine.work()

    def doubt() -> None:
        StepRow.update(status="unknown", effect="once", note=None).where(
            StepRow.execution_id == unknown
        ).execute()
        ExecutionRow.update(ready_at=None).where(ExecutionRow.id == unknown).execute()

    await engine.door.write(doubt)
    template = await engine.door.read(
        lambda: ExecutionRow.select().where(ExecutionRow.bot_name == "doubt").dicts().get()
    )
    fresh = {**template, "status": "queued", "started_at": None, "attempt_at": None, "attempt": 0}
    fresh |= {"worker": None, "lease_at": None, "ready_at": now, "message": ""}
    rows = [tuple({**fresh, "id": f"exe_{n:026d}"}.values()) for n in range(10_000)]
    await engine.door.write(partial(Insert(ExecutionRow, tuple(fresh)).write, rows))
    before = engine.door.commits
    ids = [row[0] for row in await engine.door.read(_live)]
    assert len(ids) == 10_021
    for start in range(0, len(ids), 500):
        await cancel(engine, manual_clock, *ids[start : start + 500])
    assert engine.door.commits - before <= 25
    await engine.work()
    assert await engine.door.read(_live) == []
    counts = await engine.door.read(
        lambda: ExecutionRow.select().where(ExecutionRow.status == "cancelled").count()
    )
    assert counts == 10_021
    (step,) = (await engine.inspect(unknown)).steps
    assert step.status == "unknown", "the doubt can still be seen"


def _live():
    live = ExecutionRow.select(ExecutionRow.id).where(ExecutionRow.finished_at.is_null())
    return list(live.tuples())


async def test_what_has_ended_is_told_apart(engine, manual_clock):
    ended = await engine.start(await engine.add("type: set\nwith: {values: {}}\n"))
    await engine.work()
    done = await cancel(engine, manual_clock, ended, "exe_nobody")
    assert (done.over, done.asked, done.ended) == ([ended], [], [])
    row = (await engine.inspect(ended)).execution
    assert (row.status, row.cancel_at) == ("succeeded", None)


@pytest.mark.parametrize("held", [True, False])
async def test_a_ring_makes_the_heart_look_at_once_if_it_concerns_it(engine, manual_clock, held):
    engine.do("hang", lambda c, p: asyncio.Event().wait())
    execution = await engine.start(await engine.add("type: scripted\nwith: {do: hang}\n"))
    host = await engine.host(lease_seconds=3600.0)
    host.start_heart()
    (claim,) = await engine.door.write(lambda: host.take(1))
    task = host.begin(claim)
    await asyncio.sleep(0.05)
    await cancel(engine, manual_clock, execution)
    host.look_after([execution if held else "exe_other", "\x00 forged"])
    done, _ = await asyncio.wait([task], timeout=10 if held else 0.3)
    assert bool(done) is held
    if not held:
        host.look_after([execution])
        await task
    assert (await engine.inspect(execution)).execution.status == "cancelled"
    await host.drain(1.0)
