"""Rate limits of bots and steps, over executions, retries, items, deaths and cancellations."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from codex32 import Failed
from codex32.engine.records import claims, rates
from codex32.engine.records.rates import Ask
from codex32.engine.records.slots import Rule
from codex32.kernel.models import RateRow
from codex32.services.executions import executions, limits
from codex32.services.triggers.why import why
from codex32.services.upkeep import retention

STEP = """
steps:
  - id: call
    type: scripted
    with: {do: call}
    rate: {limit: 2, per: 1m}
"""
BOT = """
rate: {limit: 2, per: 1m}
inputs: {who: {type: string, default: x}}
type: scripted
with: {do: call}
"""


@pytest.fixture
def starts(engine, manual_clock):
    """The seconds, from the beginning, at which the step was called."""
    begin, at = manual_clock.micros(), []
    engine.do("call", lambda c, p: at.append(round((manual_clock.micros() - begin) / 1e6)))
    return at


async def work(engine, manual_clock):
    """Let executions run as far as they may at this time."""
    await engine.door.write(lambda: claims.wake(manual_clock.micros()))
    await engine.work()


async def pass_time(engine, manual_clock, seconds, step=1.0):
    """Let time go by, and executions run as they may."""
    for _ in range(int(seconds / step)):
        manual_clock.advance(step)
        await work(engine, manual_clock)


@pytest.mark.parametrize("text", [STEP, BOT], ids=["step", "bot"])
async def test_what_is_too_much_waits_for_its_time_without_a_worker(
    engine, manual_clock, starts, text
):
    bot = await engine.add(text)
    ids = [await engine.start(bot) for _ in range(5)]
    await work(engine, manual_clock)
    rows = [(await engine.inspect(each)).execution for each in ids]
    assert [row.status for row in rows] == ["succeeded"] * 2 + ["waiting"] * 3
    assert {row.worker for row in rows} == {"worker"}
    assert all(row.ready_at > manual_clock.micros() for row in rows[2:])
    await pass_time(engine, manual_clock, 130)
    assert starts[:2] == [0, 0]
    # Woken a second early, the rest is slept: the manual clock does not see that second.
    assert [each in (60, 61) for each in starts[2:4]] == [True, True]
    assert starts[4] in (121, 122)
    rows = [(await engine.inspect(each)).execution for each in ids]
    assert [row.status for row in rows] == ["succeeded"] * 5
    assert all(row.message == "" for row in rows)


async def test_people_are_told_what_is_waited_for_and_until_when(engine, manual_clock, starts):
    bot = await engine.add(STEP.replace("1m", '1m, key: "mail ${{ bot.name }}"'))
    ids = [await engine.start(bot) for _ in range(3)]
    await work(engine, manual_clock)
    row = (await engine.inspect(ids[2])).execution
    assert row.message == "waits for rate limit key:mail test until 2026-01-05T12:01:01Z"
    (step,) = (await engine.inspect(ids[2])).steps
    assert step.status == "waiting"
    (view,) = await engine.door.read(limits.listing, manual_clock.micros())
    assert view.as_dict() == {
        "key": "key:mail test",
        "limit": 2,
        "per_seconds": 60.0,
        "asked_at": "2026-01-05T12:00:00.000Z",
        "next_at": "2026-01-05T12:01:01.000Z",
    }
    told = (await engine.door.read(partial(why, bot))).reasons
    assert f"executions that wait for their rate limit: 1; one {row.message}" in told


async def test_two_bots_that_name_the_same_key_share_it(engine, manual_clock, starts):
    shared = 'name: {}\nrate: {{limit: 2, per: 1m, key: "api ${{{{ inputs.who }}}}"}}\n'
    texts = [BOT.replace("rate: {limit: 2, per: 1m}\n", shared.format(n)) for n in ("a", "b")]
    for text in texts:
        await engine.add(text)
    for bot in ("a", "b", "a", "b"):
        await engine.start(bot)
    await engine.start("b", who="somebody else")
    await work(engine, manual_clock)
    assert starts == [0] * 3
    keys = await engine.door.read(lambda: sorted(row.key for row in RateRow.select()))
    assert keys == ["default:key:api somebody else", "default:key:api x"]


async def test_every_try_and_every_item_takes_a_slot(engine, manual_clock, starts):
    left = [1]

    def call(context, params):
        starts.append(round(manual_clock.micros() / 1e6))
        left[0] -= 1
        return Failed("not now", retryable=True, retry_after_seconds=5) if left[0] == 0 else None

    engine.do("call", call)
    text = """
steps:
  - id: call
    type: scripted
    foreach: [1, 2, 3]
    parallel: 3
    with: {do: call}
    retry: {attempts: 2, first: 1s}
    rate: {limit: 3, per: 1m}
"""
    execution = await engine.start(await engine.add(text))
    await work(engine, manual_clock)
    assert len(starts) == 3
    await pass_time(engine, manual_clock, 20)
    assert len(starts) == 3, "the second try had no slot"
    await pass_time(engine, manual_clock, 45)
    assert len(starts) == 4
    assert (await engine.inspect(execution)).execution.status == "succeeded"


async def test_items_that_wait_take_no_more_slots_than_run_at_once(engine, manual_clock, starts):
    text = STEP.replace("with:", 'foreach: "${{ [1, 2, 3, 4, 5, 6, 7, 8] }}"\n    with:')
    execution = await engine.start(await engine.add(text))
    await work(engine, manual_clock)
    (row,) = await engine.door.read(lambda: list(RateRow.select()))
    assert sum(count for _, count in rates.slots_of(row).taken) <= 3
    await pass_time(engine, manual_clock, 200)
    assert (await engine.inspect(execution)).execution.status == "succeeded"
    assert len(starts) == 8


async def test_a_slot_outlives_the_worker_and_is_lost_when_its_time_has_passed(
    engine, manual_clock, starts
):
    bot = await engine.add(STEP)
    for _ in range(5):
        await engine.start(bot)
    await work(engine, manual_clock)
    manual_clock.advance(3600)  # nobody worked for an hour: three slots passed
    await work(engine, manual_clock)
    assert starts == [0, 0, 3600, 3600], "what had waited came all at once"
    await pass_time(engine, manual_clock, 63)
    assert len(starts) == 5


async def test_a_slot_that_is_near_is_slept_for(engine, manual_clock, starts):
    bot = await engine.add(STEP.replace("limit: 2, per: 1m", "limit: 1, per: 100ms"))
    ids = [await engine.start(bot) for _ in range(4)]
    await engine.work()
    rows = [(await engine.inspect(each)).execution for each in ids]
    assert [row.status for row in rows] == ["succeeded"] * 4
    assert [row.attempt for row in rows] == [1] * 4


async def test_a_cancelled_execution_gives_its_slot_to_others(engine, manual_clock, starts):
    for text in (BOT, STEP):
        bot = await engine.add(f"name: {'one' if text is BOT else 'two'}\n{text}")
        ids = [await engine.start(bot) for _ in range(30)]
        await work(engine, manual_clock)
        for each in ids[2:]:
            await engine.door.write(partial(executions.cancel, each, manual_clock.micros()))
        await engine.work()
        rows = [(await engine.inspect(each)).execution for each in ids]
        assert [row.status for row in rows] == ["succeeded"] * 2 + ["cancelled"] * 28
        await engine.door.write(lambda: None)
        views = await engine.door.read(limits.listing, manual_clock.micros())
        assert views[-1].next_at - manual_clock.micros() == 61_000_000


async def test_an_execution_that_began_asks_no_more(engine, manual_clock, starts):
    text = """
rate: {limit: 1, per: 1m}
steps:
  - {id: call, type: scripted, with: {do: call}}
  - {id: pause, type: wait, with: {for: 10m}}
  - {id: again, type: scripted, with: {do: call}}
"""
    bot = await engine.add(text)
    ids = [await engine.start(bot) for _ in range(2)]
    await work(engine, manual_clock)
    await pass_time(engine, manual_clock, 700, step=5)
    assert [(await engine.inspect(each)).execution.status for each in ids] == ["succeeded"] * 2
    (row,) = await engine.door.read(lambda: list(RateRow.select()))
    # One of them was asked for twice: the hand of the clock jumped over its slot.
    assert sum(count for _, count in rates.slots_of(row).taken) <= 3


async def test_a_key_that_cannot_be_told_fails_the_step_or_the_execution(engine, starts):
    key = '1m, key: "${{ trigger.body.no }}"'
    step = await engine.run("name: one\n" + STEP.replace("1m", key))
    assert (step.execution.status, step.steps[0].status) == ("failed", "failed")
    assert "trigger" in step.execution.message
    bot = await engine.run("name: two\n" + BOT.replace("1m", key))
    assert (bot.execution.status, bot.execution.cause) == ("failed", "invalid")
    assert starts == []


async def test_sixty_four_who_ask_at_once_share_commits_and_keep_the_limit(engine):
    rule, now = Rule(10, 60_000_000), 1_767_614_400_000_000
    before = engine.door.commits
    asks = [engine.door.write_many(rates.reserve, Ask("key:x", rule, now)) for _ in range(64)]
    slots = await asyncio.gather(*asks)
    assert engine.door.commits - before <= 3
    assert sorted(slots) == sorted(now + n // 10 * 61_000_000 for n in range(64))


async def test_rows_that_nobody_needs_are_let_go(engine, manual_clock, starts):
    await engine.start(await engine.add(STEP))
    await engine.work()
    keep = retention.Limits(days={}, keep_last=1)
    payloads = engine.env.payloads
    await retention.prune(engine.door, keep, payloads, manual_clock.micros())
    assert await engine.door.read(RateRow.select().count) == 1
    manual_clock.advance(7200)
    pruned = await retention.prune(engine.door, keep, payloads, manual_clock.micros())
    assert pruned.rates == 1


async def test_a_bot_without_a_limit_pays_nothing(engine):
    engine.do("nothing", lambda c, p: None)
    await engine.start(await engine.add("{type: scripted, with: {do: nothing}}"))
    before = engine.door.commits
    await engine.work()
    assert engine.door.commits - before == 3, "a look, its end, and a look in vain"
