"""Which budgets a call counts against."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from codex32.kernel.contracts.gateway import ModelCaller, Payer
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
        workspace = f"workspace:{caller.workspace}"
        own = Payer(caller.execution_id or "", caller.bot_id or "", caller.spend_usd)
        # By its key each once: bots may start themselves. Of two limits the lower one holds.
        limits: dict[str, int] = {}
        for payer in (own, *caller.payers):
            spans = {
                "execution": payer.execution_id and f"execution:{payer.execution_id}",
                "day": payer.bot_id and f"bot:{payer.bot_id} {day}",
                "month": payer.bot_id and f"bot:{payer.bot_id} {month}",
            }
            for span, key in spans.items():
                if key and (most := payer.spend_usd.get(span)) is not None:
                    limits[key] = min(nano(most), limits.get(key, nano(most)))
        found = [Limit(key, most) for key, most in limits.items()]
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


def words(limit: Limit, caller: ModelCaller) -> str:
    """Which budget it is, for people."""
    scope, _, period = limit.key.partition(" ")
    if scope == "house":
        return f"the installation's budget of {period}"
    if scope.startswith("workspace:"):
        return f"the budget of workspace {scope.removeprefix('workspace:')} of {period}"
    if scope.startswith("execution:"):
        mine = scope == f"execution:{caller.execution_id}"
        bot = "the bot's" if mine else "a starting bot's"
        return f"{bot} budget of one execution (allow.spend_usd.execution)"
    unit = "day" if len(period) > len("2026-11") else "month"
    bot = caller.bot if scope == f"bot:{caller.bot_id}" else "a starting bot"
    return f"the budget of {bot} of {period} (allow.spend_usd.{unit})"
