"""What bots remember between executions, as people look at it and change it."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.kernel.caller import Caller
from codex32.kernel.errors import StateNotFound
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import StateRow
from codex32.services.bots import bots
from codex32.services.presentation import iso
from codex32.services.safe import audit


def listing(
    bot: str, *, workspace: str, prefix: str = "", after: str = "", limit: int
) -> tuple[Sequence[StateRow], str | None]:
    """Entries of a bot by key, and the last key where there are more.

    Raises:
      BotNotFound: There is no such bot.
    """
    mine = StateRow.bot_id == bots.get(bot, workspace=workspace).id
    rows = StateRow.select().where(mine, StateRow.key > after).order_by(StateRow.key)
    if prefix:
        rows = rows.where(StateRow.key.startswith(prefix))
    found = list(rows.limit(limit + 1))
    shown = found[:limit]
    return shown, shown[-1].key if len(found) > limit else None


def get(bot: str, key: str, *, workspace: str) -> StateRow:
    """One entry.

    Raises:
      BotNotFound: There is no such bot.
      StateNotFound: It remembers nothing under this key.
    """
    row = bots.get(bot, workspace=workspace)
    found = StateRow.get_or_none((StateRow.bot_id == row.id) & (StateRow.key == key))
    if found is None:
        raise StateNotFound(bot, key)
    return found


def put(
    bot: str, key: str, value: JSON, now: int, *, by: Caller, workspace: str
) -> tuple[StateRow, bool]:
    """Write an entry, whatever stood there; the audit log keeps its key.

    Returns:
      The entry, and whether it is new.

    Raises:
      BotNotFound: There is no such bot.
    """
    row = bots.get(bot, workspace=workspace)
    values = {"value": dumps(value), "updated_at": now}
    this = (StateRow.bot_id == row.id) & (StateRow.key == key)
    new = not StateRow.update(values).where(this).execute()
    if new:
        StateRow.insert(bot_id=row.id, key=key, **values).on_conflict(
            conflict_target=(StateRow.bot_id, StateRow.key), update=values
        ).execute()
    audit.record(by, "state.written", bot, now, change={"key": key}, workspace=workspace)
    return get(bot, key, workspace=workspace), new


def delete(bot: str, key: str, now: int, *, by: Caller, workspace: str) -> None:
    """Let a bot forget an entry.

    Raises:
      BotNotFound: There is no such bot.
      StateNotFound: It remembers nothing under this key.
    """
    row = get(bot, key, workspace=workspace)
    StateRow.delete().where((StateRow.bot_id == row.bot_id) & (StateRow.key == key)).execute()
    audit.record(by, "state.deleted", bot, now, change={"key": key}, workspace=workspace)


def as_dict(row: StateRow) -> dict[str, JSON]:
    """Plain data for JSON."""
    return {"key": row.key, "value": loads(row.value), "updated_at": iso(row.updated_at)}
