"""What a bot will cost: from what it did cost, else from what its steps ask models for.

What nobody knows is None, never 0; what was assumed is told. Only models are counted: what other
services bill, nobody here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import peewee as pw

from codex32.engine.expressions import Part, expressions_in
from codex32.kernel.bot import Bot, Step, Trigger
from codex32.kernel.clock import from_micros
from codex32.kernel.components import Components
from codex32.kernel.contracts.llm import Usage
from codex32.kernel.database import fetch
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.models import ExecutionRow
from codex32.kernel.spending_rows import ModelAttemptRow
from codex32.services.ai.money import nano, usd
from codex32.services.ai.prices import Prices, Tariff

DAYS: Final = 30
#: Limits of ``allow.spend_usd``, and how often each may be spent in so many days.
_CAPPED: Final = (("day", DAYS), ("month", 1))
#: So many executions must have ended before what they did cost says what the next one will.
ENOUGH: Final = 5
#: What is assumed where nothing tells.
VALUE_TOKENS: Final = 400
ANSWER_TOKENS: Final = 400
ITEMS: Final = 10
CALLS: Final = 3
_TOKEN_CHARACTERS: Final = 4
#: Fire times that are counted; from more on they are reckoned from these.
_MOST_TIMES: Final = 500
#: Bot types whose cost depends on a collection's embedder, which the definition does not tell.
_COLLECTIONS: Final = frozenset({"index", "retrieve", "answer"})

#: The price of a model, by its name; None where nobody knows it.
TariffOf = Callable[[str], Tariff | None]


@dataclass(frozen=True, slots=True)
class History:
    """What a bot did in the last :data:`DAYS` days.

    Attributes:
      executions: That have ended.
      cost_nano_usd: What their calls cost together.
    """

    executions: int
    cost_nano_usd: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a bot will cost.

    Attributes:
      execution_usd: Of one execution; None where a part of it is not known.
      executions_month: In :data:`DAYS` days; None where nobody knows.
      month_usd: None where either is not known.
      limit_execution_usd: What it may spend at most, as ``allow.spend_usd`` says.
      limit_month_usd: Likewise, by the limits of the day and the month.
      based_on: ``history``, or ``definition``.
      unknown: What is not known, and so not counted.
      assumed: What was taken for granted.
    """

    execution_usd: float | None
    executions_month: int | None
    month_usd: float | None
    limit_execution_usd: float | None
    limit_month_usd: float | None
    based_on: str
    unknown: Sequence[str] = ()
    assumed: Sequence[str] = ()

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {**told, "unknown": list(self.unknown), "assumed": list(self.assumed)}


def history_of(bot_id: str, now: int) -> History:
    """What the executions of a bot did cost that ended lately; ``now`` in microseconds."""
    since = now - DAYS * 86_400_000_000
    mine = (ExecutionRow.bot_id == bot_id) & (ExecutionRow.finished_at >= since)
    count = ExecutionRow.select().where(mine).count()
    day = from_micros(since).date().isoformat()
    spent = ModelAttemptRow.select(pw.fn.SUM(ModelAttemptRow.cost_nano)).where(
        (ModelAttemptRow.bot_id == bot_id) & (ModelAttemptRow.day >= day)
    )
    ((cost,),) = fetch(spent)
    return History(count, int(cost or 0))


def tariffs(components: Components, prices: Prices) -> TariffOf:
    """Prices as the gateway finds them."""

    def tariff_of(name: str) -> Tariff | None:
        provider_name, _, model = name.partition(":")
        try:
            provider = components.llm_provider(provider_name)
        except Codex32Error:
            return None
        info = next((each for each in provider.models() if each.name == model), None)
        free = provider.free or (info is not None and info.free)
        return prices.of(name, price_list=provider.price_list, free=free)

    return tariff_of


def estimate(
    bot: Bot,
    components: Components,
    tariff_of: TariffOf,
    now: datetime,
    history: History | None = None,
) -> Estimate:
    """What ``bot`` will cost.

    Args:
      bot: The definition.
      components: Whose trigger types know when it is due.
      tariff_of: Finds prices.
      now: From when on times are counted (aware).
      history: What it did; None for one that is new.
    """
    counted = _Counted()
    limits = bot.allow.spend_usd
    if history is not None and history.executions >= ENOUGH:
        one: int | None = history.cost_nano_usd // history.executions
        based_on = "history"
        counted.assumed.append(f"the next cost what the last {history.executions} did")
    else:
        one = _of_steps(bot, tariff_of, counted)
        based_on = "definition"
    if one is not None and "execution" in limits:
        one = min(one, nano(limits["execution"]))
    times = _month(bot, components, now, history, counted)
    month = None if one is None or times is None else one * times
    caps = [nano(limits[span]) * often for span, often in _CAPPED if span in limits]
    most = min(caps, default=None)
    if month is not None and most is not None:
        month = min(month, most)
    return Estimate(
        None if one is None else usd(one),
        times,
        None if month is None else usd(month),
        limits.get("execution"),
        None if most is None else usd(most),
        based_on,
        tuple(counted.unknown),
        tuple(counted.assumed),
    )


@dataclass(slots=True)
class _Counted:
    unknown: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)


# one execution


def _of_steps(bot: Bot, tariff_of: TariffOf, counted: _Counted) -> int | None:
    total = 0
    for step in (*bot.steps, *bot.finally_):
        if step.type in _COLLECTIONS:
            counted.unknown.append(f"{step.id}: what the embedder of its collection costs")
        if (model := step.params.get("model")) is not None:
            total += _of_step(bot, step, model, tariff_of, counted)
        elif step.type == "bot":
            counted.unknown.append(f"{step.id}: what the bot {step.params.get('name')} costs")
    return None if counted.unknown else total


def _of_step(bot: Bot, step: Step, model: Any, tariff_of: TariffOf, counted: _Counted) -> int:
    tariff = tariff_of(model) if isinstance(model, str) and "${{" not in model else None
    if tariff is None:
        counted.unknown.append(f"{step.id}: what {model} costs")
        return 0
    # Of another model that is asked when this one fails, nothing is counted: it stands in.
    asked = [step.params.get(name) for name in ("system", "prompt", "messages", "question")]
    values, characters = _size([*asked, step.params.get("schema")])
    if values:
        counted.assumed.append(f"{step.id}: each value in its prompt has {VALUE_TOKENS} tokens")
    answer = step.params.get("max_tokens")
    if not isinstance(answer, int):
        answer = ANSWER_TOKENS
        counted.assumed.append(f"{step.id}: an answer has {answer} tokens")
    times = _items(bot, step, counted)
    if step.type == "agent":
        times *= CALLS
        counted.assumed.append(f"{step.id}: the agent asks its model {CALLS} times")
    tokens = characters // _TOKEN_CHARACTERS + values * VALUE_TOKENS
    return times * tariff.cost(Usage(tokens, answer))


def _size(value: JSON) -> tuple[int, int]:
    """How many expressions are in a value, and how many characters beside them."""
    if isinstance(value, str):
        parts = expressions_in(value)
        values = sum(isinstance(part, Part) for part in parts)
        return values, sum(len(part) for part in parts if isinstance(part, str))
    if isinstance(value, list):
        sizes = [_size(each) for each in value]
        return sum(values for values, _ in sizes), sum(size for _, size in sizes)
    if isinstance(value, Mapping) and "content" in value:
        return _size(value["content"])
    return 0, 0 if value is None else len(dumps(value))


def _items(bot: Bot, step: Step, counted: _Counted) -> int:
    if step.foreach is None:
        return 1
    if isinstance(step.foreach, list):
        return len(step.foreach)
    for name, schema in bot.inputs.items():
        default = schema.get("default")
        if f"inputs.{name}" in str(step.foreach) and isinstance(default, list):
            counted.assumed.append(f"{step.id}: {len(default)} items, as {name} has by default")
            return len(default)
    counted.assumed.append(f"{step.id}: {ITEMS} items")
    return ITEMS


# a month


def _month(
    bot: Bot,
    components: Components,
    now: datetime,
    history: History | None,
    counted: _Counted,
) -> int | None:
    live = [trigger for trigger in bot.triggers if trigger.enabled]
    untimed = [each.kind for each in live if not components.trigger_types[each.kind].timed]
    if untimed or not live:
        if history is not None and history.executions >= ENOUGH:
            counted.assumed.append(f"as many executions as in the last {DAYS} days")
            return history.executions
        counted.unknown.append(
            f"how often {untimed[0]} starts it" if untimed else "how often people start it"
        )
        return None
    return sum(_times(trigger, components, now) for trigger in live)


def _times(trigger: Trigger, components: Components, now: datetime) -> int:
    kind = components.trigger_types[trigger.kind]
    end, count, last = now + timedelta(days=DAYS), 0, now
    while count < _MOST_TIMES:
        found = kind.next_fire_at(trigger.config, trigger.timezone, last)
        if found is None or found > end:
            return count
        count, last = count + 1, found
    share = (last - now).total_seconds() / timedelta(days=DAYS).total_seconds()
    return round(count / share)


def midnight(now: datetime) -> datetime:
    """The beginning of a day in UTC, so that an estimate is the same all day."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
