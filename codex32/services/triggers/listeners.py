"""Who listens to events: triggers of live bots, steps that wait, streams, webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.kernel.bot import Trigger
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.database import fetch
from codex32.kernel.json_values import loads
from codex32.kernel.models import BotRow, SubscriptionRow, TriggerRow, VersionRow
from codex32.kernel.outbound_rows import EndpointRow, FeedRow
from codex32.services.bots.schedules import TriggerTypes, restored
from codex32.services.triggers.occurrences import Due


@dataclass(frozen=True, slots=True)
class Listener:
    """A trigger that answers events, with its bot."""

    due: Due
    trigger: Trigger
    pattern: str


def answers_events(kind: TriggerType) -> bool:
    """Whether triggers of this kind may answer events."""
    return type(kind).event_pattern is not TriggerType.event_pattern


def watches_files(kind: TriggerType) -> bool:
    """Whether triggers of this kind may answer files."""
    return type(kind).watched_files is not TriggerType.watched_files


def patterns(types: TriggerTypes, now: int) -> set[tuple[str, str]]:
    """Every pattern of names that somebody listens to, with the workspace."""
    waits = SubscriptionRow.select(SubscriptionRow.workspace, SubscriptionRow.pattern)
    found = set(fetch(waits.where(SubscriptionRow.answer.is_null()).distinct()))
    feeds = FeedRow.select(FeedRow.workspace, FeedRow.pattern).where(FeedRow.kept_until > now)
    found.update(fetch(feeds))
    told = EndpointRow.select(EndpointRow.workspace, EndpointRow.patterns)
    for workspace, texts in fetch(told.where(EndpointRow.enabled)):
        found.update((workspace, pattern) for pattern in loads(texts))
    kinds = [name for name, kind in types.items() if answers_events(kind)]
    if kinds:
        rows = (
            TriggerRow.select(BotRow.workspace, TriggerRow.kind, TriggerRow.definition)
            .join(BotRow, on=(BotRow.id == TriggerRow.bot_id))
            .where(TriggerRow.enabled & TriggerRow.kind.in_(kinds))
        )
        for workspace, kind, definition in fetch(rows.distinct()):
            pattern = types[kind].event_pattern(restored(definition).config)
            if pattern is not None:
                found.add((workspace, pattern))
    return found


def event_listeners(types: TriggerTypes) -> list[Listener]:
    """The live triggers that answer events."""
    found = []
    kinds = [name for name, kind in types.items() if answers_events(kind)]
    for due in live(kinds):
        trigger = restored(due.definition)
        pattern = types[trigger.kind].event_pattern(trigger.config)
        if pattern is not None:
            found.append(Listener(due, trigger, pattern))
    return found


def live(kinds: Sequence[str]) -> list[Due]:
    """The live triggers of some kinds, with their bots; their times are of no interest."""
    if not kinds:
        return []
    query = (
        TriggerRow.select(
            TriggerRow.id,
            TriggerRow.bot_id,
            TriggerRow.definition,
            pw.Value(0),
            BotRow.name,
            BotRow.workspace,
            BotRow.paused,
            VersionRow.id,
            VersionRow.number,
        )
        .join(BotRow, on=(BotRow.id == TriggerRow.bot_id))
        .join(VersionRow, pw.JOIN.LEFT_OUTER, on=(VersionRow.id == BotRow.active_version_id))
        .where(TriggerRow.enabled & TriggerRow.kind.in_(list(kinds)))
        .order_by(TriggerRow.id)
    )
    return [Due(*row) for row in fetch(query)]
