"""Versions of a bot as people look at them: who wrote them, when, and what changed."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.engine.reading.building import build_bot
from codex32.kernel.errors import VersionNotFound
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import BotRow, VersionRow
from codex32.services.bots import bots, provenance
from codex32.services.bots.bot_views import version_as_dict
from codex32.services.bots.diff import diff
from codex32.services.explaining.changes import meanings

#: Changes of a version that a list tells; a comparison tells all.
_SHOWN = 50


def listing(
    name: str, workspace: str, *, below: int | None, limit: int
) -> tuple[list[JSON], str | None]:
    """The versions of a bot with numbers below one, newest first, and where the rest begins.

    Raises:
      BotNotFound: There is no such bot.
    """
    bot = bots.get(name, workspace=workspace)
    rows = VersionRow.select().where(VersionRow.bot_id == bot.id)
    if below is not None:
        rows = rows.where(VersionRow.number < below)
    # One more than is shown: what changed is told against the version before.
    found = list(rows.order_by(VersionRow.number.desc()).limit(limit + 1))
    shown = found[:limit]
    told = [_as_dict(row, bot, found[place + 1 :][:1]) for place, row in enumerate(shown)]
    return told, str(shown[-1].number) if len(found) > limit else None


def detail(name: str, workspace: str, number: int) -> JSON:
    """A version with its definition.

    Raises:
      BotNotFound: There is no such bot.
      VersionNotFound: It has no version of this number.
    """
    bot = bots.get(name, workspace=workspace)
    row = bots.find_version(bot, number)
    definition = loads(row.document)
    earlier = (VersionRow.bot_id == bot.id) & (VersionRow.number < number)
    before = VersionRow.select().where(earlier).order_by(VersionRow.number.desc()).limit(1)
    return {
        **_as_dict(row, bot, list(before)),
        "definition": definition,
        "origins": provenance.told(workspace, definition, row.digest),
    }


def compare(name: str, workspace: str, first: int | None, second: int | None) -> JSON:
    """What changed between two versions: by default the newest and the one before.

    Raises:
      BotNotFound: There is no such bot.
      VersionNotFound: It has no version of such a number.
    """
    bot = bots.get(name, workspace=workspace)
    if second is None:
        numbers = VersionRow.select(VersionRow.number).where(VersionRow.bot_id == bot.id)
        second = numbers.order_by(VersionRow.number.desc()).limit(1).scalar() or 1
    first = max(second - 1, 1) if first is None else first
    old, new = bots.find_version(bot, first), bots.find_version(bot, second)
    before, after = loads(old.document), loads(new.document)
    return {
        "from": first,
        "to": second,
        "changes": [each.as_dict() for each in diff(before, after)],
        "meanings": [each.as_dict() for each in meanings(build_bot(before), build_bot(after))],
    }


def before_live(name: str, workspace: str) -> int:
    """Number of the newest version that may be live and is older than the live one.

    Raises:
      BotNotFound: There is no such bot.
      VersionNotFound: There is none.
    """
    bot = bots.get(name, workspace=workspace)
    live = bots.version_of(bot.active_version_id)
    sound = VersionRow.widens.is_null() | VersionRow.approved_at.is_null(False)
    mine = (VersionRow.bot_id == bot.id) & sound
    rows = VersionRow.select(VersionRow.number).order_by(VersionRow.number.desc()).limit(1)
    number = live and rows.where(mine & (VersionRow.number < live.number)).scalar()
    if not number:
        raise VersionNotFound(f"of {name} to go back to")
    return int(number)


def _as_dict(row: VersionRow, bot: BotRow, before: Sequence[VersionRow]) -> dict[str, JSON]:
    told = version_as_dict(row, bot)
    told["changes"] = []
    for older in before:
        changes = [str(each) for each in diff(loads(older.document), loads(row.document))]
        told["changes"] = changes[:_SHOWN]
    return told
