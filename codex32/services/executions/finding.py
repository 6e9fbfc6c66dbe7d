"""Finding the bots that shall be started, and the turns that their executions will have."""

from __future__ import annotations

import time
from collections.abc import Set
from dataclasses import dataclass

from codex32.engine.records.turns import Asked, asking
from codex32.kernel.batches import any_of, listed
from codex32.kernel.database import fetch
from codex32.kernel.errors import BotDisabled, BotInvalid, VersionNotFound
from codex32.kernel.json_values import loads
from codex32.kernel.models import VersionRow, database_proxy
from codex32.kernel.problems import Problem

#: Of most bots; their turns are asked for together with the bots, which spares a round trip.
USUAL_PRIORITY = 0
#: For so long turns are not asked for again: a bot that joins the queue meanwhile may come before
#: those that were served since.
BELIEVED_SECONDS = 0.05

_COLUMNS = (
    "bot.workspace, bot.id, bot.name, bot.source, bot.enabled, bot.removed_at, bot.problems, "
    "bot.active_version_id"
)
_FIND = f"SELECT {_COLUMNS} FROM bot WHERE %s"  # noqa: S608 - our own names
_FIND_AND_ASK = f"SELECT {_COLUMNS}, {asking('bot.id', str(USUAL_PRIORITY))} FROM bot WHERE %s"  # noqa: S608


@dataclass(slots=True)
class Found:
    """What the rows say of a bot."""

    bot_id: str
    name: str
    source: str | None
    enabled: bool
    removed_at: int | None
    problems: str | None
    active_version_id: str | None

    def version(self, wanted: str | None, by_number: int | None) -> str:
        """The id of the version that shall run.

        One that the house names by its id always may; one that a bot names by its number, where it
        could be the live one.
        """
        if wanted is not None:
            mine = (VersionRow.id == wanted) & (VersionRow.bot_id == self.bot_id)
            if not fetch(VersionRow.select(VersionRow.id).where(mine)):
                raise VersionNotFound(wanted)
            return wanted
        if self.removed_at is not None:
            gone = f"its file {self.source} is gone; put it back" if self.source else "removed"
            raise BotDisabled(self.name, gone)
        if self.active_version_id is None:
            faults = [Problem(**each) for each in loads(self.problems or "[]")]
            raise BotInvalid(f"{self.name} has never been without faults", faults)
        if not self.enabled:
            raise BotDisabled(self.name, "its definition says `enabled: false`")
        if by_number is not None:
            return self._numbered(by_number)
        return self.active_version_id

    def _numbered(self, number: int) -> str:
        row = VersionRow
        found = fetch(
            row.select(row.id, row.widens, row.approved_at).where(
                (row.bot_id == self.bot_id) & (row.number == number)
            )
        )
        if not found:
            raise VersionNotFound(f"{number} of {self.name}")
        version_id, widens, approved_at = found[0]
        if widens is not None and approved_at is None:
            # Else whoever may write bots could start what nobody has approved.
            raise BotDisabled(f"version {number} of {self.name}", "nobody has approved it")
        return str(version_id)


class Lookup:
    """Looks bots up by name; of their turns, what was asked a moment ago is believed.

    Turns are a matter of fairness, and to ask for them costs four times as much as to find the
    bot. What is read of bots themselves is never believed: whoever switched one off has done so.
    For one thread.

    Attributes:
      asked: Of turns, for ``executions.submit``.
    """

    def __init__(self) -> None:
        self.asked: Asked = {}
        self._until = time.monotonic() + BELIEVED_SECONDS
        self._names: set[tuple[str, str]] = set()

    def if_young(self) -> Lookup:
        """This one, or a new one if it has believed for long enough."""
        return self if time.monotonic() < self._until else Lookup()

    def find(self, names: Set[tuple[str, str]], now: int) -> dict[tuple[str, str], Found]:
        """The bots that there are of these workspaces and names."""
        wanted = (listed({name for _, name in names}),)
        if names <= self._names:
            rows = database_proxy.execute_sql(_FIND % any_of("bot.name"), wanted)
            return {(row[0], row[2]): Found(*row[1:]) for row in rows.fetchall()}
        rows = database_proxy.execute_sql(_FIND_AND_ASK % any_of("bot.name"), wanted)
        found = {}
        for *bot, last, served in rows.fetchall():
            found[bot[0], bot[2]] = row = Found(*bot[1:])
            # While nothing is queued it is the clock, as it stands now and not when it is needed.
            standing = last, now + 1 if served is None else served
            self.asked.setdefault((row.bot_id, USUAL_PRIORITY), standing)
        self._names |= found.keys()
        return found
