"""The trigger rows of a bot's live version, and the times at which they are due."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from codex32.kernel.batches import Insert
from codex32.kernel.bot import Bot, Trigger
from codex32.kernel.clock import from_micros, to_micros
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.database import fetch
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import canonical, dumps, loads
from codex32.kernel.models import TriggerRow

log = logging.getLogger(__name__)

TriggerTypes = Mapping[str, TriggerType]

_NEW = Insert(
    TriggerRow,
    ("id", "bot_id", "key", "kind", "definition", "enabled", "next_at", "created_at"),
)


def stored(trigger: Trigger) -> str:
    """The text of a trigger in its row."""
    return dumps({name: getattr(trigger, name) for name in Trigger.__slots__})


def restored(text: str) -> Trigger:
    """The trigger of a row's text."""
    return Trigger(**loads(text))


def reconcile(
    bot_id: str,
    bot: Bot,
    types: TriggerTypes,
    now: int,
    *,
    live: bool,
    known: Iterable[TriggerRow] | None = None,
) -> None:
    """Bring a bot's trigger rows to what its version says.

    The same rule (kind, configuration, time zone) keeps its row and its next time; a rule that
    is new, or was switched off, begins with the first time after ``now``. What is no longer
    there is removed; its occurrences stay. ``live`` says whether triggers may start the bot;
    ``known`` are its rows, where these were read before.
    """
    if known is None:
        known = TriggerRow.select().where(TriggerRow.bot_id == bot_id)
    rows = {row.key: row for row in known}
    new = []
    for key, trigger in _keyed(bot.triggers).items():
        row = rows.pop(key, None)
        enabled = live and trigger.enabled
        text = stored(trigger)
        if row is None:
            next_at = next_time(types, trigger, now) if enabled else None
            new.append((new_id("trg"), bot_id, key, trigger.kind, text, enabled, next_at, now))
        elif (row.definition, row.enabled) != (text, enabled):
            next_at = row.next_at if row.enabled else next_time(types, trigger, now)
            TriggerRow.update(
                definition=text, enabled=enabled, next_at=next_at if enabled else None
            ).where(TriggerRow.id == row.id).execute()
    _NEW.write(new)
    if rows:
        gone = [row.id for row in rows.values()]
        TriggerRow.delete().where(TriggerRow.id.in_(gone)).execute()


def switch_off(bot_id: str) -> None:
    """Let no trigger of the bot fire."""
    TriggerRow.update(enabled=False, next_at=None).where(TriggerRow.bot_id == bot_id).execute()


def repair(types: TriggerTypes, now: int) -> int:
    """Give triggers their time back that lost it, or have one too far in the future; how many.

    So it is after a clock was wrong for a while, or a plugin was not installed.
    """
    rows = fetch(
        TriggerRow.select(TriggerRow.id, TriggerRow.definition, TriggerRow.next_at).where(
            TriggerRow.enabled & (TriggerRow.next_at.is_null() | (TriggerRow.next_at > now))
        )
    )
    mended = 0
    for trigger_id, definition, next_at in rows:
        right = next_time(types, restored(definition), now)
        if right is not None and (next_at is None or right < next_at):
            changed = TriggerRow.update(next_at=right).where(
                (TriggerRow.id == trigger_id) & TriggerRow.enabled
            )
            mended += int(changed.execute())
    return mended


def next_time(types: TriggerTypes, trigger: Trigger, after: int) -> int | None:
    """When a trigger is due next after ``after``, or None; a failing trigger type is logged."""
    kind = types.get(trigger.kind)
    if kind is None or not kind.timed:
        return None
    try:
        return fire_after(kind, trigger, after)
    except Exception:
        log.exception("trigger type %s cannot tell its next time", trigger.kind)
        return None


def fire_after(kind: TriggerType, trigger: Trigger, after: int) -> int | None:
    """The first time of ``trigger`` later than ``after``, in microseconds."""
    moment: datetime | None = kind.next_fire_at(
        trigger.config, trigger.timezone, from_micros(after)
    )
    if moment is None:
        return None
    found = to_micros(moment)
    if found <= after:
        raise ValueError(f"{trigger.kind} fires at {moment}, which is not later than asked for")
    return found


def _keyed(triggers: Sequence[Trigger]) -> dict[str, Trigger]:
    """Triggers by what makes them the same over versions; equal ones are counted."""
    keyed: dict[str, Trigger] = {}
    for trigger in triggers:
        rule = canonical([trigger.kind, trigger.config, trigger.timezone])
        digest = hashlib.sha256(rule.encode()).hexdigest()
        key, count = digest, 1
        while key in keyed:
            count += 1
            key = f"{digest}#{count}"
        keyed[key] = trigger
    return keyed
