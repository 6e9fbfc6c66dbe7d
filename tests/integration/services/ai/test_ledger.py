"""The ledger: what is reserved, settled, assumed and told of, on both databases."""

import asyncio
import multiprocessing
import threading
from dataclasses import replace

import pytest

from codex32 import BudgetExhausted, BudgetWarned, Usage
from codex32.kernel.clock import SystemClock
from codex32.kernel.database import Door, connect
from codex32.kernel.ids import new_id
from codex32.kernel.spending_rows import BudgetRow, ModelAttemptRow
from codex32.services.ai import ledger
from codex32.services.ai.ledger import Attempt, Limit, Settlement

HOUSE = Limit("house 2026-01", 1000)
BOT = Limit("bot:1 2026-01-05", 500)
ROW = {
    "workspace": "default",
    "model": "one:plain",
    "day": "2026-01-05",
    "step": "ask",
}


def attempt(worst, *limits, now=1, lease=1000):
    return Attempt(new_id("mat"), ROW, limits or (HOUSE,), worst, now, lease)


async def sums(door):
    rows = await door.read(lambda: list(BudgetRow.select()))
    return {row.key: (row.spent_nano, row.reserved_nano) for row in rows}


async def test_a_request_is_reserved_in_all_its_budgets_and_settled_in_them(door):
    asked = attempt(400, HOUSE, BOT)
    assert (await ledger.reserve(door, asked)).refused is None
    assert await sums(door) == {HOUSE.key: (0, 400), BOT.key: (0, 400)}
    await ledger.settle(door, Settlement(asked.id, "settled", 2, 150, Usage(3, 4)))
    assert await sums(door) == {HOUSE.key: (150, 0), BOT.key: (150, 0)}


async def test_what_one_budget_refuses_is_reserved_in_none(door):
    refused = await ledger.reserve(door, attempt(600, HOUSE, BOT))
    assert (refused.refused, refused.left_nano) == (BOT, 500)
    assert await sums(door) == {HOUSE.key: (0, 0), BOT.key: (0, 0)}
    assert await door.read(ModelAttemptRow.select().count) == 0


async def test_what_costs_nothing_passes_a_budget_that_is_spent(door):
    first = attempt(1000)
    await ledger.reserve(door, first)
    await ledger.settle(door, Settlement(first.id, "settled", 2, 1000))
    assert (await ledger.reserve(door, attempt(1))).refused == HOUSE
    assert (await ledger.reserve(door, attempt(0))).refused is None


@pytest.mark.parametrize(
    ("key", "counted"),
    [
        ("house 2026-01", 300 + 50 + 7),
        ("house 2026-01-05", 300 + 7),
        ("bot:b1 2026-01", 300 + 50),
        ("bot:b1 2026-01-05", 300),
        ("bot:b1 2026-02", 0),
        ("bot:b2 2026-01", 7),
        ("workspace:default 2026-01", 300 + 50 + 7),
        ("workspace:other 2026-01", 0),
        ("execution:e1", 0),
    ],
)
async def test_a_limit_that_is_set_later_knows_what_was_spent_before(door, key, counted):
    other = Limit("workspace:default 2026-01-31", 1000)
    for cost, bot, day in ((300, "b1", 5), (50, "b1", 4), (7, "b2", 5)):
        row = {**ROW, "bot_id": bot, "day": f"2026-01-{day:02}"}
        asked = Attempt(new_id("mat"), row, (other,), cost, 1, 1000)
        await ledger.reserve(door, asked)
        if cost != 50:  # else it is under way, and its end will not find the new limit
            await ledger.settle(door, Settlement(asked.id, "settled", 2, cost))
    limit = Limit(key, 1000)
    refused = await ledger.reserve(door, attempt(1001 - counted, limit))
    assert (refused.refused, refused.left_nano) == (limit, 1000 - counted)
    assert (await ledger.reserve(door, attempt(1000 - counted, limit))).refused is None
    assert (await sums(door))[key] == (counted, 1000 - counted)


async def test_settling_twice_counts_once(door):
    asked = attempt(400)
    await ledger.reserve(door, asked)
    end = Settlement(asked.id, "settled", 2, 100)
    await ledger.settle(door, end)
    await ledger.settle(door, end)
    await ledger.settle(door, replace(end, state="released"))
    assert await sums(door) == {HOUSE.key: (100, 0)}


async def test_a_reservation_that_is_written_again_reserves_once(door):
    asked = attempt(400)
    await ledger.reserve(door, asked)
    await ledger.reserve(door, asked)
    assert await sums(door) == {HOUSE.key: (0, 400)}


async def test_the_dead_are_taken_to_have_spent_what_they_reserved(door):
    dead, alive = attempt(300, lease=10), attempt(200, lease=1000)
    await ledger.reserve(door, dead)
    await ledger.reserve(door, alive)
    assert await ledger.reap(door, 11) == 1
    assert await sums(door) == {HOUSE.key: (300, 200)}
    assert await ledger.reap(door, 12) == 0


async def test_ends_that_share_a_commit_count_once(door):
    asked = attempt(400)
    await ledger.reserve(door, asked)
    lost = Settlement(asked.id, "assumed", 2, fault="lost")
    end = Settlement(asked.id, "settled", 3, 100)
    await door.write(lambda: ledger.settle_all([lost, lost, end, end, lost]))
    assert await sums(door) == {HOUSE.key: (100, 0)}


async def test_the_dead_are_counted_once_by_two_who_find_them_at_once(door):
    barrier, rounds = threading.Barrier(2), 20

    def find(ends):
        barrier.wait(20)
        door.write_apart(lambda: ledger.settle_all(ends), patience_seconds=10)

    for number in range(1, rounds + 1):
        asked = [attempt(10), attempt(10)]
        for each in asked:
            await ledger.reserve(door, each)
        ends = [Settlement(each.id, "assumed", 11, fault="lost") for each in asked]
        await asyncio.gather(*(asyncio.to_thread(find, each) for each in (ends, ends[::-1])))
        assert await sums(door) == {HOUSE.key: (20 * number, 0)}


async def test_whoever_was_taken_for_dead_may_still_say_what_it_cost(door):
    late = attempt(300, lease=10)
    await ledger.reserve(door, late)
    await ledger.reap(door, 11)
    await ledger.settle(door, Settlement(late.id, "settled", 12, 120))
    assert await sums(door) == {HOUSE.key: (120, 0)}


async def test_people_are_warned_once_of_each_share(open_door):
    told = []
    door = open_door(on_commit=told.extend)
    for cost in (400, 100, 100, 200, 100, 100):
        asked = attempt(cost)
        await ledger.reserve(door, asked)
        await ledger.settle(door, Settlement(asked.id, "settled", 2, cost))
    assert (await ledger.reserve(door, attempt(1))).refused == HOUSE
    await asyncio.to_thread(door.close)
    events = [each for each in told if isinstance(each, BudgetWarned | BudgetExhausted)]
    shares = [getattr(each, "percent", 100) for each in events]
    assert shares == [50, 80, 100]
    assert {(each.budget, each.workspace) for each in events} == {("house 2026-01", "")}


async def test_whoever_raises_a_limit_is_warned_of_the_new_one(open_door):
    told = []
    door = open_door(on_commit=told.extend)
    raised = Limit(HOUSE.key, 2 * HOUSE.nano)
    for cost, limit in ((1000, HOUSE), (100, raised), (500, raised), (400, raised)):
        asked = attempt(cost, limit)
        await ledger.reserve(door, asked)
        await ledger.settle(door, Settlement(asked.id, "settled", 2, cost))
    await asyncio.to_thread(door.close)
    events = [each for each in told if isinstance(each, BudgetWarned | BudgetExhausted)]
    shares = [(getattr(each, "percent", 100), each.limit_usd) for each in events]
    # A half of the new limit is spent already, and was told of.
    assert shares == [(100, 1e-6), (80, 2e-6), (100, 2e-6)]


async def test_a_request_that_is_too_large_leaves_people_to_be_warned(open_door):
    told = []
    door = open_door(on_commit=told.extend)
    for cost in (0, 500, 250, 50):
        if cost:
            asked = attempt(cost)
            await ledger.reserve(door, asked)
            await ledger.settle(door, Settlement(asked.id, "settled", 2, cost))
        assert (await ledger.reserve(door, attempt(1001))).refused == HOUSE
    await asyncio.to_thread(door.close)
    events = [each for each in told if isinstance(each, BudgetWarned | BudgetExhausted)]
    shares = [(getattr(each, "percent", 100), each.spent_usd) for each in events]
    # With a fifth left, a refusal is told of as the end.
    assert shares == [(50, 5e-7), (80, 8e-7), (100, 8e-7)]


def _spend(url, calls, barrier, spent):
    """A process that spends from a budget of 2,000, at most 7 at a time."""
    door = Door(connect(url))
    clock = SystemClock.shared
    limit = Limit("house 2026-01", 2_000)
    barrier.wait()
    for _ in range(calls):
        asked = attempt(7, limit, now=clock.micros(), lease=clock.micros() + 10**9)
        if door.write_many_now(ledger._reserve, asked).refused is None:
            door.write_many_now(ledger.settle_all, Settlement(asked.id, "settled", 2, 6))
            with spent.get_lock():
                spent.value += 6
    door.close()


@pytest.mark.fault
def test_eight_processes_never_overdraw_one_budget(database_url):
    context = multiprocessing.get_context("spawn")
    barrier, spent = context.Barrier(8), context.Value("q", 0)
    processes = [
        context.Process(target=_spend, args=(database_url, 60, barrier, spent)) for _ in range(8)
    ]
    for each in processes:
        each.start()
    for each in processes:
        each.join(240)
        assert each.exitcode == 0
    door = Door(connect(database_url))
    row = door.read_now(BudgetRow.get_by_id, "house 2026-01")
    costs = door.read_now(lambda: sum(r.cost_nano for r in ModelAttemptRow.select()))
    door.close()
    assert row.reserved_nano == 0
    assert row.spent_nano == costs == spent.value
    assert 2_000 - 7 < row.spent_nano <= 2_000
