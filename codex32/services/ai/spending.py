"""What models cost: by bot, model, day or workspace, and what a month will have cost."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, TypeAlias

import peewee as pw

from codex32.kernel.caller import DEFAULT_WORKSPACE
from codex32.kernel.database import Door, fetch
from codex32.kernel.json_values import JSON
from codex32.kernel.models import BotRow
from codex32.kernel.spending_rows import BudgetRow, ModelAttemptRow
from codex32.services.ai.money import usd

By: TypeAlias = Literal["bot", "model", "day", "workspace"]
BYS: tuple[By, ...] = ("bot", "model", "day", "workspace")
#: Days that a forecast looks back.
LOOKED_BACK = 28
#: Days that a budget is kept at least: its month has to be over.
_LONGEST_PERIOD = 32
#: Rows that are deleted in one transaction.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Spent:
    """What one bot, model, day or workspace cost.

    Attributes:
      name: Empty where no bot asked.
      assumed_nano: What of it is a worst case, because the service did not say.
    """

    name: str
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost_nano: int
    assumed_nano: int

    def as_dict(self, by: By) -> dict[str, JSON]:
        """Plain data for JSON."""
        return {
            by: self.name,
            "requests": self.requests,
            "failed": self.failed,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": usd(self.cost_nano),
            "assumed_usd": usd(self.assumed_nano),
        }


def spent(
    by: By, first: date, last: date, *, workspace: str | None, limit: int = 1000
) -> list[Spent]:
    """What was spent on the days from ``first`` to ``last``, the dearest first.

    Args:
      by: What is told apart; days come in their order.
      first: The first day.
      last: The last day.
      workspace: Of one alone; None for all.
      limit: Most entries.
    """
    row = ModelAttemptRow
    named = getattr(row, by)
    assumed = pw.Case(None, [(row.state == "assumed", row.cost_nano)], 0)
    total = pw.fn.SUM(row.cost_nano)
    query = (
        row.select(
            named,
            pw.fn.COUNT(row.id),
            pw.fn.COUNT(row.fault),
            pw.fn.SUM(row.input_tokens),
            pw.fn.SUM(row.output_tokens),
            total,
            pw.fn.SUM(assumed),
        )
        .where(row.day.between(first.isoformat(), last.isoformat()))
        .group_by(named)
        .order_by(named if by == "day" else total.desc(), named)
        .limit(limit)
    )
    if workspace is not None:
        query = query.where(row.workspace == workspace)
    return [Spent(name, *(int(each or 0) for each in sums)) for name, *sums in fetch(query)]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a month will have cost (nano-USD).

    Attributes:
      spent_nano: Up to now.
      expected_nano: Up to its end, if the days that come are as those that went.
      high_nano: If they are all as dear as the dearest of those.
    """

    name: str
    spent_nano: int
    expected_nano: int
    high_nano: int

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        return {
            "bot": self.name,
            "spent_usd": usd(self.spent_nano),
            "expected_usd": usd(self.expected_nano),
            "high_usd": usd(self.high_nano),
        }


def forecast(today: date, *, workspace: str | None) -> list[Outlook]:
    """Bot by bot, what the month of ``today`` will have cost, the dearest first."""
    row = ModelAttemptRow
    first = min(today - timedelta(days=LOOKED_BACK), today.replace(day=1))
    query = (
        row.select(row.bot, row.day, pw.fn.SUM(row.cost_nano))
        .where(row.day.between(first.isoformat(), today.isoformat()))
        .group_by(row.bot, row.day)
    )
    if workspace is not None:
        query = query.where(row.workspace == workspace)
    days: dict[str, dict[str, int]] = {}
    for bot, day, cost in fetch(query):
        days.setdefault(bot, {})[day] = int(cost or 0)
    month = today.isoformat()[:7]
    left = calendar.monthrange(today.year, today.month)[1] - today.day
    return sorted(
        (_outlook(bot, costs, today, month, left) for bot, costs in days.items()),
        key=lambda each: (-each.expected_nano, each.name),
    )


def _outlook(bot: str, costs: dict[str, int], today: date, month: str, left: int) -> Outlook:
    so_far = sum(cost for day, cost in costs.items() if day.startswith(month))
    of_today = costs.get(today.isoformat(), 0)
    # Today is not over; a bot that began lately is measured by the days since then.
    past = {day: cost for day, cost in costs.items() if day < today.isoformat()}
    since = (today - timedelta(days=LOOKED_BACK)).isoformat()
    recent = {day: cost for day, cost in past.items() if day >= since}
    if not recent:  # it began today, or has not been asked for weeks
        rate = dearest = of_today
    else:
        length = (today - date.fromisoformat(min(recent))).days
        rate, dearest = sum(recent.values()) // max(length, 1), max(recent.values())
    # What is left of today costs what today has not cost yet of a day's rate.
    expected = so_far + max(rate - of_today, 0) + rate * left
    return Outlook(bot, so_far, expected, so_far + max(dearest - of_today, 0) + dearest * left)


def budgets(today: date) -> Sequence[BudgetRow]:
    """The budgets of the day and month of ``today``, but for those of executions."""
    day = today.isoformat()
    periods = [BudgetRow.key.endswith(f" {period}") for period in (day, day[:7])]
    return list(BudgetRow.select().where(periods[0] | periods[1]).order_by(BudgetRow.key))


def called(rows: Iterable[BudgetRow]) -> list[str]:
    """The keys of budgets as people know them: those of bots by their names."""
    # That of one execution has no period.
    keys = [row.key.partition(" ") for row in rows]
    ids = [scope.removeprefix("bot:") for scope, _, _ in keys if scope.startswith("bot:")]
    found = BotRow.select(BotRow.id, BotRow.workspace, BotRow.name).where(BotRow.id.in_(ids))
    names = {}
    for bot_id, workspace, name in fetch(found):
        place = "" if workspace == DEFAULT_WORKSPACE else f"{workspace}/"
        names[f"bot:{bot_id}"] = f"bot:{place}{name}"
    return [names.get(scope, scope) + space + period for scope, space, period in keys]


async def prune(door: Door, now: int, keep_days: float | None) -> int:
    """Let go of attempts and budgets that are older than is wished; how many rows."""
    if keep_days is None:
        return 0
    before = now - int(keep_days * 86_400 * 1e6)
    done = 0
    row = ModelAttemptRow
    old = row.select(row.id).where((row.started_at < before) & (row.state != "reserved"))
    while ids := await door.read(lambda: [each[0] for each in fetch(old.limit(CHUNK))]):
        done += await door.write(row.delete().where(row.id.in_(ids)).execute)
    over = min(before, now - int(_LONGEST_PERIOD * 86_400 * 1e6))
    stale = BudgetRow.select(BudgetRow.key).where(BudgetRow.updated_at < over)
    while keys := await door.read(lambda: [each[0] for each in fetch(stale.limit(CHUNK))]):
        done += await door.write(BudgetRow.delete().where(BudgetRow.key.in_(keys)).execute)
    return done
