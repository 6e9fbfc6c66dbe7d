"""When bots are due next: the triggers of a workspace, and the times of one bot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import peewee as pw

from codex32.kernel.clock import from_micros
from codex32.kernel.json_values import JSON
from codex32.kernel.models import BotRow, TriggerRow
from codex32.services.bots import bots
from codex32.services.bots.bot_views import trigger_as_dict
from codex32.services.bots.schedules import TriggerTypes, next_time, restored
from codex32.services.presentation import iso


@dataclass(frozen=True, slots=True)
class Planned:
    """A trigger with the times that it has ahead (microseconds), as far as was asked."""

    row: TriggerRow
    times: Sequence[int]

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON: each time in UTC, and as clocks show it in the trigger's zone."""
        zone = ZoneInfo(restored(self.row.definition).timezone)
        times = [{"at": iso(time), "local": _local(time, zone)} for time in self.times]
        return {**trigger_as_dict(self.row), "times": times}


def of_bot(
    name: str, types: TriggerTypes, *, workspace: str, after: int, count: int
) -> list[Planned]:
    """The triggers of a bot, each with the first ``count`` times later than ``after``.

    A paused bot's are told, too: they come, and start nothing.

    Raises:
      BotNotFound: There is no such bot.
    """
    row = bots.get(name, workspace=workspace)
    triggers = TriggerRow.select().where(TriggerRow.bot_id == row.id).order_by(TriggerRow.id)
    return [Planned(each, list(_times(each, types, after, count))) for each in triggers]


def due(workspace: str, *, after: str | None, limit: int) -> tuple[list[JSON], str | None]:
    """The triggers of a workspace that wait for a time, the next ones first.

    Args:
      workspace: Whose bots.
      after: ``TIME.ID``, as the page before told.
      limit: Most triggers.
    """
    rows = (
        TriggerRow.select(TriggerRow, BotRow.name.alias("bot"), BotRow.paused.alias("paused"))
        .join(BotRow, on=(BotRow.id == TriggerRow.bot_id))
        .where(
            BotRow.workspace == workspace,
            TriggerRow.enabled,
            TriggerRow.next_at.is_null(False),
        )
        .order_by(TriggerRow.next_at, TriggerRow.id)
    )
    if after is not None:
        moment, _, trigger_id = after.partition(".")
        place = pw.Tuple(TriggerRow.next_at, TriggerRow.id)
        rows = rows.where(place > pw.Tuple(int(moment), trigger_id))
    found = list(rows.limit(limit + 1).objects())
    shown = found[:limit]
    more = f"{shown[-1].next_at}.{shown[-1].id}" if len(found) > limit else None
    return [_due(each) for each in shown], more


def _due(row: Any) -> dict[str, JSON]:
    """A trigger's row, with two columns of its bot's."""
    return {"bot": row.bot, "paused": row.paused, **trigger_as_dict(row)}


def _times(row: TriggerRow, types: TriggerTypes, after: int, count: int) -> Iterator[int]:
    if not row.enabled:
        return
    trigger, time = restored(row.definition), after
    for _ in range(count):
        found = next_time(types, trigger, time)
        if found is None:
            return
        yield found
        time = found


def _local(time: int, zone: ZoneInfo) -> str:
    return from_micros(time).astimezone(zone).isoformat(timespec="seconds")
