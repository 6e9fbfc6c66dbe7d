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
    assert found.expected_nano == COST + 25 * COST
    assert found.as_dict()["spent_usd"] == usd(COST)


async def test_old_rows_are_let_go(house):
    await house.ask()
    later = house.clock.micros() + 41 * 86_400 * 10**6
    assert await spending.prune(house.door, later, 40) == 2
    assert await house.attempts() == []
