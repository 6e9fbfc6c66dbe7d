"""What bots are for and take, for those who would use them: agents, clients of MCP."""

from __future__ import annotations

from codex32.kernel.errors import BotDisabled, BotNotFound
from codex32.kernel.models import VersionRow
from codex32.kernel.views import BotCard
from codex32.services.bots import bots
from codex32.services.bots.definitions import Definitions


def card(definitions: Definitions, workspace: str, name: str, number: int | None) -> BotCard:
    """The card of a bot; a function for ``Door.read``.

    Args:
      definitions: Versions as bots.
      workspace: Whose bot.
      name: Its name.
      number: Of a version; None for the live one.

    Raises:
      BotNotFound: There is none, or it was removed.
      BotDisabled: It has no live version.
      VersionNotFound: It has none of this number.
    """
    row = bots.get(name, workspace=workspace)
    if row.removed_at is not None:
        raise BotNotFound(name, ())
    if number is not None:
        version_id = bots.find_version(row, number).id
    elif row.active_version_id is None:
        raise BotDisabled(name, "it has no live version")
    else:
        version_id = row.active_version_id
        number = VersionRow.select(VersionRow.number).where(VersionRow.id == version_id).scalar()
    bot = definitions.bot(version_id)
    return BotCard(name, number or 0, bot.description, bot.inputs)
