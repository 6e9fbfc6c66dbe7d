"""Where features meet: lists, waits, children, state and ends in one execution."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from codex32 import Failed
from codex32.engine.running.attempt import Attempt
from codex32.kernel.models import ExecutionRow
from codex32.services.upkeep import recovery

CHILD = "name: child\nsteps: [{id: a, type: wait, with: {for: 1h}}]\n"


async def children(engine) -> list[tuple[str, str]]:
    rows = await engine.door.read(lambda: list(ExecutionRow.select().order_by(ExecutionRow.id)))
    return [(row.status, row.message) for row in rows if row.bot_name == "child"]


async def test_items_that_wait_for_other_bots_count_as_parallel(engine, manual_clock):
    await engine.add(CHILD)
    text = """
name: parent
allow: {bots: [child]}
steps:
  - {id: each, type: bot, foreach: "${{ [1, 2, 3, 4, 5] }}", parallel: 2, with: {name: child}}
"""
    execution = await engine.start(await engine.add(text))
    seen = []
    for _ in range(4):
        await engine.work()
        seen.append(len(await children(engine)))
        manual_clock.advance(3601)
    assert seen == [2, 4, 5, 5]
    assert (await engine.inspect(execution)).execution.status == "succeeded"


async def test_state_that_an_item_wrote_is_seen_by_later_steps(engine):
    text = """
steps:
  - {id: each, type: set, foreach: "${{ [1, 2, 3] }}", with: {state: {last: "${{ item }}"}}}
  - {id: after, type: set, with: {values: {seen: "${{ state.last }}"}}}
output: "${{ steps.after.output.seen }}"
"""
    found = await engine.run(text)
    assert found.execution.status == "succeeded", found.execution.message
    assert await engine.output(found.execution.id) == 3


@pytest.mark.parametrize("how", ["fail", "end"])
async def test_children_that_nobody_waits_for_any_more_are_cancelled(engine, how):
    await engine.add(CHILD)
    other = {"fail": "type: scripted, with: {do: fail}", "end": "type: end"}[how]
    text = f"""
name: parent
allow: {{bots: [child]}}
steps:
  - {{id: waited, type: bot, with: {{name: child}}, needs: []}}
  - {{id: short, type: wait, with: {{for: 1s}}, needs: []}}
  - {{id: other, {other}, needs: [short]}}
"""
    engine.do("fail", lambda c, p: Failed("no"))
    execution = await engine.start(await engine.add(text))
    await engine.work()
    engine.env.clock.advance(2)
    await engine.work()
    row = (await engine.inspect(execution)).execution
    assert row.status == {"fail": "failed", "end": "succeeded"}[how]
    assert await children(engine) == [("cancelled", "its parent was stopped")]


async def test_children_of_items_are_cancelled_with_the_first_that_fails(engine):
    await engine.add(CHILD)
    await engine.add("name: bad\ntype: scripted\nwith: {do: fail}\n")
    engine.do("fail", lambda c, p: Failed("no"))
    text = """
name: parent
allow: {bots: [child, bad]}
steps:
  - id: each
    type: bot
    foreach: ["child", "bad"]
    parallel: 2
    with: {name: "${{ item }}"}
"""
    execution = await engine.start(await engine.add(text))
    await engine.work()
    assert (await engine.inspect(execution)).execution.status == "failed"
    assert await children(engine) == [("cancelled", "its parent was stopped")]


async def test_a_child_that_is_just_being_started_is_cancelled_with_its_parent(
    engine, manual_clock
):
    await engine.add(CHILD)
    text = "name: parent\nallow: {bots: [child]}\ntype: bot\nwith: {name: child}\n"
    execution = await engine.start(await engine.add(text))
    (claim,) = await engine.claim()
    attempt = Attempt(engine.env, claim)
    starts = engine.env.start_child

    async def start(request):
        on_its_way = asyncio.ensure_future(starts(request))
        await asyncio.sleep(0)  # it is handed to the writer, and
        attempt.cancel()
        return await on_its_way

    attempt.env = attempt.course.env = replace(engine.env, start_child=start)
    await attempt.run()
    await engine.work()
    assert (await engine.inspect(execution)).execution.status == "cancelled"
    assert all(status == "cancelled" for status, _ in await children(engine))


async def test_an_item_that_asks_a_person_lets_the_next_begin(engine, status_of):
    text = """
steps:
  - {id: each, type: approve, foreach: [1, 2, 3], with: {text: "${{ item }}?"}}
"""
    found = await engine.run(text)
    assert status_of(found) == {
        "each": "running",
        "each[0]": "waiting",
        "each[1]": "waiting",
        "each[2]": "waiting",
    }


async def test_items_one_at_a_time_keep_their_order_over_retries(engine, manual_clock):
    fails = iter([True, False, False])
    engine.do("flaky", lambda c, p: Failed("no", retryable=True) if next(fails) else p["value"])
    text = """
steps:
  - id: each
    type: scripted
    foreach: [a, b]
    retry: {attempts: 2}
    with: {do: flaky, value: "${{ item }}"}
"""
    execution = await engine.start(await engine.add(text))
    await engine.work()
    manual_clock.advance(2)
    await engine.work()
    assert [params["value"] for _, params in engine.scripted.calls] == ["a", "a", "b"]
    assert (await engine.inspect(execution)).execution.status == "succeeded"


async def test_an_execution_whose_time_is_used_up_begins_no_further_step(engine):
    bot = await engine.add("timeout: 1s\nsteps: [{id: a, type: scripted, with: {do: it}}]\n")
    engine.do("it", lambda c, p: None)
    execution = await engine.start(bot)
    (claim,) = await engine.claim()
    claim.active_micros = 1_000_000
    await Attempt(engine.env, claim).run()
    row = (await engine.inspect(execution)).execution
    assert (row.status, row.cause, engine.scripted.calls) == ("failed", "timeout", [])


async def test_a_child_of_an_execution_that_kills_workers_is_cancelled(engine, manual_clock):
    await engine.add(CHILD)
    text = """
name: parent
allow: {bots: [child]}
steps:
  - {id: waited, type: bot, with: {name: child}, needs: []}
  - {id: deadly, type: wait, with: {for: 1s}, needs: []}
"""
    execution = await engine.start(await engine.add(text))
    await engine.work()
    for _ in range(5):
        manual_clock.advance(2)
        await recovery.recover(engine.door, manual_clock.micros())
        claimed = [each.id for each in await engine.claim(lease_seconds=1.0)]
        assert claimed == [execution]
        manual_clock.advance(2)
        await recovery.recover(engine.door, manual_clock.micros())
    row = (await engine.inspect(execution)).execution
    assert (row.status, row.cause) == ("failed", "lost")
    await engine.work()
    assert await children(engine) == [("cancelled", "its parent was stopped")]
