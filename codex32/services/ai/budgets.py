"""Which budgets a call counts against."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from codex32.kernel.contracts.gateway import ModelCaller
from codex32.services.ai.ledger import Limit
from codex32.services.ai.money import nano


@dataclass(frozen=True, slots=True)
class Caps:
    """What the operator lets models cost (nano-USD); None: whatever they cost.

    Attributes:
      timezone: Where days and months begin.
    """

    month_nano: int | None = nano(100.0)
    day_nano: int | None = None
    workspace_month_nano: int | None = None
    workspace_day_nano: int | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        _zone(self.timezone)  # its file is read here, and not on an event loop

    def day(self, now: datetime) -> str:
        """The day of ``now``, such as ``2026-11-28``."""
        return now.astimezone(_zone(self.timezone)).date().isoformat()

    def limits(self, caller: ModelCaller, now: datetime) -> list[Limit]:
        """All that a call of ``caller`` counts against."""
        day = self.day(now)
        month = day[:7]
        own, bot = caller.spend_usd, f"bot:{caller.bot_id}"
        workspace = f"workspace:{caller.workspace}"
        found = []
        if caller.execution_id and (most := own.get("execution")) is not None:
            key = f"execution:{caller.execution_id}"
            found.append(Limit(key, nano(most)))
        for period, name in (("day", day), ("month", month)):
            if caller.bot_id and (most := own.get(period)) is not None:
                found.append(Limit(f"{bot} {name}", nano(most)))
        caps = (
            (self.workspace_day_nano, f"{workspace} {day}"),
            (self.workspace_month_nano, f"{workspace} {month}"),
            (self.day_nano, f"house {day}"),
            (self.month_nano, f"house {month}"),
        )
        found += [Limit(key, cap) for cap, key in caps if cap is not None]
        return found


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def words(limit: Limit, bot: str) -> str:
    """Which budget it is, for people."""
    scope, _, period = limit.key.partition(" ")
    if scope == "house":
        return f"the installation's budget of {period}"
    if scope.startswith("workspace:"):
        return f"the budget of workspace {scope.removeprefix('workspace:')} of {period}"
    if scope.startswith("execution:"):
        return "the bot's budget of one execution (allow.spend_usd.execution)"
    unit = "day" if len(period) > len("2026-11") else "month"
    return f"the budget of {bot} of {period} (allow.spend_usd.{unit})"
