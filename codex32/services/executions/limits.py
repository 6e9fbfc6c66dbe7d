"""Rate limits as people look at them. Functions here are called through ``Door.read``."""

from __future__ import annotations

from dataclasses import dataclass

from codex32.engine.records.rates import slots_of
from codex32.engine.records.slots import Rule
from codex32.kernel.caller import DEFAULT_WORKSPACE
from codex32.kernel.json_values import JSON
from codex32.kernel.models import RateRow
from codex32.services.presentation import iso


@dataclass(frozen=True, slots=True)
class LimitView:
    """How a rate limit stands. Times in microseconds.

    Attributes:
      key: ``key:TEXT`` where a file names it, else ``bot:NAME``, ``step:NAME.ID``, or
        ``target:NAME`` of a notifier and a digest of the target.
      rule: That of whoever asked last.
      asked_at: When somebody took a slot of it last.
      next_at: When one that asks now would start; now, or before, where it is free.
    """

    key: str
    rule: Rule
    asked_at: int
    next_at: int

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON output."""
        return {
            "key": self.key,
            "limit": self.rule.limit,
            "per_seconds": self.rule.per_micros / 1e6,
            "asked_at": iso(self.asked_at),
            "next_at": iso(self.next_at),
        }


def listing(now: int, *, workspace: str = DEFAULT_WORKSPACE) -> list[LimitView]:
    """Every rate limit of the workspace that was asked lately, by key."""
    views = []
    for row in RateRow.select().order_by(RateRow.key):
        slots, rule = slots_of(row), Rule(row.rule_limit, row.rule_micros)
        whose, _, key = row.key.partition(":")
        if whose != workspace:
            continue
        free_at = slots.next_free(rule, now)
        views.append(LimitView(key, rule, row.asked_at, free_at))
    return views
