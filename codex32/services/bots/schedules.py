"""The trigger rows of a bot's live version, and the times at which they are due."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

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


@lru_cache(maxsize=1024)
def restored(text: str) -> Trigger:
    """The trigger of a row's text; thousands of bots may have the same."""
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

    The same rule (kind, identity, time zone) keeps its row and its next time; a rule that
    is new, or was switched off, begins with the first time after ``now``. What is no longer
    there is removed; its occurrences stay. ``live`` says whether triggers may start the bot;
    ``known`` are its rows, where these were read before.
    """
    if known is None:
        known = TriggerRow.select().where(TriggerRow.bot_id == bot_id)
    rows = {row.key: row for row in known}
    new = []
    for key, trigger in keyed(bot.triggers, types).items():
        row = rows.pop(key, None)
        enabled = live and trigger.enabled
        text = stored(trigger)
        if row is None:
            next_at = next_time(types, trigger, now, bot.name) if enabled else None
            new.append((new_id("trg"), bot_id, key, trigger.kind, text, enabled, next_at, now))
        elif (row.definition, row.enabled) != (text, enabled):
            next_at = row.next_at if row.enabled else next_time(types, trigger, now, bot.name)
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


@dataclass(frozen=True, slots=True)
class Astray:
    """Triggers whose time is missing or too far in the future, and the time that is right.

    Attributes:
      times: The trigger's id, and its right time in microseconds.
      last: The id of the last trigger that was looked at; None where there are no more.
    """

    times: Sequence[tuple[str, int]]
    last: str | None


def find_astray(types: TriggerTypes, now: int, after: str = "", limit: int = 500) -> Astray:
    """Look at up to ``limit`` triggers with an id greater than ``after``.

    A trigger goes astray when a clock was wrong for a while, or its plugin was not installed.
    """
    rows = fetch(
        TriggerRow.select(
            TriggerRow.id, TriggerRow.definition, TriggerRow.next_at, TriggerRow.enabled
        )
        .where(TriggerRow.id > after)
        .order_by(TriggerRow.id)
        .limit(limit)
    )
    times = []
    for trigger_id, definition, next_at, enabled in rows:
        if enabled and (next_at is None or next_at > now):
            right = next_time(types, restored(definition), now)
            if right is not None and (next_at is None or right < next_at):
                times.append((trigger_id, right))
    return Astray(times, rows[-1][0] if len(rows) == limit else None)


def set_right(astray: Astray) -> int:
    """Give triggers that went astray their right times; how many."""
    mended = 0
    for trigger_id, right in astray.times:
        mine = (TriggerRow.id == trigger_id) & TriggerRow.enabled
        later = TriggerRow.next_at.is_null() | (TriggerRow.next_at > right)
        mended += int(TriggerRow.update(next_at=right).where(mine & later).execute())
    return mended


def next_time(types: TriggerTypes, trigger: Trigger, after: int, bot: str = "") -> int | None:
    """When a trigger is due next after ``after``, or None; a failing trigger type is logged."""
    kind = types.get(trigger.kind)
    if kind is None or not kind.timed:
        return None
    try:
        return fire_after(kind, trigger, after)
    except Exception:
        about = {"bot": bot} if bot else {}
        log.exception("trigger type %s cannot tell its next time", trigger.kind, extra=about)
        return None


def fire_after(kind: TriggerType, trigger: Trigger, after: int) -> int | None:
    """The first time of ``trigger`` later than ``after``, in microseconds."""
    config = trigger.config
    if isinstance(config, str) and type(kind).__hash__ is not None:
        moment = _fire_after(kind, config, trigger.timezone, after)
    else:
        moment = kind.next_fire_at(config, trigger.timezone, from_micros(after))
    if moment is None:
        return None
    found = to_micros(moment)
    if found <= after:
        raise ValueError(f"{trigger.kind} fires at {moment}, which is not later than asked for")
    return found


@lru_cache(maxsize=4096)
def _fire_after(kind: TriggerType, config: str, timezone: str, after: int) -> datetime | None:
    """Remembered, for trigger types are pure and thousands of bots share a rule."""
    return kind.next_fire_at(config, timezone, from_micros(after))


def keyed(triggers: Sequence[Trigger], types: TriggerTypes) -> dict[str, Trigger]:
    """Triggers by what makes them the same over versions; equal ones are counted."""
    keyed: dict[str, Trigger] = {}
    for trigger in triggers:
        kind = types.get(trigger.kind)
        what = trigger.config if kind is None else kind.identity(trigger.config)
        rule = canonical([trigger.kind, what, trigger.timezone])
        digest = hashlib.sha256(rule.encode()).hexdigest()
        key, count = digest, 1
        while key in keyed:
            count += 1
            key = f"{digest}#{count}"
        keyed[key] = trigger
    return keyed
