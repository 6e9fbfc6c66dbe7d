"""What models cost, told by bot, model, day and workspace, and foretold for a month."""

from datetime import date

import pytest

from codex32.services.ai import spending
from codex32.services.ai.money import usd

COST = 2_000_000
TODAY = date(2026, 1, 5)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("bot", ["digest", "other"]),
        ("model", ["one:plain", "two:plain"]),
        ("day", ["2026-01-05"]),
        ("workspace", ["default", "mine"]),
    ],
)
async def test_what_was_spent_is_told_apart(house, by, names):
    await house.ask()
    await house.ask(model="two:plain", workspace="mine", bot="other", execution_id=None)
    found = await house.door.read(lambda: spending.spent(by, TODAY, TODAY, workspace=None))
    assert [each.name for each in found] == names
    assert sum(each.cost_nano for each in found) == COST + COST // 10
    mine = await house.door.read(lambda: spending.spent(by, TODAY, TODAY, workspace="mine"))
    assert sum(each.cost_nano for each in mine) == COST // 10


async def test_a_month_is_foretold_from_its_days(house):
    await house.ask()
    (found,) = await house.door.read(lambda: spending.forecast(date(2026, 1, 6), workspace=None))
    assert (found.name, found.spent_nano) == ("digest", COST)
    # The 6th is a day like the 5th, of which nothing has been spent yet.
    assert found.expected_nano == COST + 26 * COST
    assert found.as_dict()["spent_usd"] == usd(COST)


@pytest.mark.parametrize(
    ("today", "spent", "expected"),
    [
        (TODAY, COST, COST + 26 * COST),  # its first day: all are taken to be like it
        (date(2026, 1, 31), COST, COST + COST // 26),  # the last day is a day, too
        (date(2026, 2, 1), 0, 28 * (COST // 27)),  # of another month, with the days before
        (date(2026, 2, 2), 0, 27 * (COST // 28)),
    ],
)
async def test_a_month_is_foretold_on_its_edges(house, today, spent, expected):
    await house.ask()
    (found,) = await house.door.read(lambda: spending.forecast(today, workspace=None))
    assert (found.spent_nano, found.expected_nano) == (spent, expected)


async def test_where_nothing_was_asked_for_weeks_nothing_is_foretold(house):
    await house.ask()
    assert await house.door.read(lambda: spending.forecast(date(2026, 2, 3), workspace=None)) == []


async def test_who_was_last_asked_at_the_beginning_of_a_long_month_is_foretold_nothing_more(
    house,
):
    house.clock.set(house.clock.now().replace(day=1))
    await house.ask()
    (found,) = await house.door.read(lambda: spending.forecast(date(2026, 1, 30), workspace=None))
    assert (found.spent_nano, found.expected_nano, found.high_nano) == (COST, COST, COST)


async def test_a_budget_outlives_its_rows_until_its_month_is_over(house):
    await house.ask()
    later = house.clock.micros() + 20 * 86_400 * 10**6
    await spending.prune(house.door, later, 7)
    assert await house.attempts() == []
    assert (await house.budgets())["house 2026-01"] == (COST, 0)


async def test_old_rows_are_let_go(house):
    await house.ask()
    later = house.clock.micros() + 41 * 86_400 * 10**6
    assert await spending.prune(house.door, later, 40) == 2
    assert await house.attempts() == []
