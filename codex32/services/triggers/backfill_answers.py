"""What was missed, and what was answered to it before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from codex32.kernel.database import fetch
from codex32.kernel.models import OccurrenceRow, TriggerRow
from codex32.services.presentation import iso

#: Decisions that stand. The others (``missed paused overlap …``) say that nothing was done.
ANSWERED: Final = frozenset({"fired", "deduplicated", "no-match", "depth"})


@dataclass(frozen=True, slots=True)
class Missed:
    """A time, or an event, that a trigger may have to answer still.

    Attributes:
      at: In microseconds.
      event: Its id, where it is one.
    """

    at: int
    trigger_id: str
    event: str = ""

    @property
    def key(self) -> str:
        """Of the occurrence: the same as the scheduler's."""
        return self.event or iso(self.at) or ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An answer that was given before."""

    id: str = ""
    decision: str = ""
    detail: str = ""

    @property
    def stands(self) -> bool:
        """Whether nothing is to be made up for."""
        return self.decision in ANSWERED

    @property
    def told(self) -> str:
        """What follows in the detail of the new answer."""
        detail = f", {self.detail}" if self.detail else ""
        return f"; before: {self.decision}{detail}" if self.id else ""


NOTHING: Final = Earlier()


def answers(part: Sequence[Missed], removed: frozenset[str]) -> dict[Missed, Earlier]:
    """What was answered before.

    A rule that was changed has a new trigger, which must not fire anew what the old one fired.
    """
    ids = {each.trigger_id for each in part} | removed
    rows = fetch(
        OccurrenceRow.select(
            OccurrenceRow.id,
            OccurrenceRow.trigger_id,
            OccurrenceRow.key,
            OccurrenceRow.decision,
            OccurrenceRow.detail,
        ).where(
            OccurrenceRow.trigger_id.in_(list(ids))
            & OccurrenceRow.key.in_(list({each.key for each in part}))
        )
    )
    given = {(row[1], row[2]): Earlier(row[0], row[3], row[4]) for row in rows}
    fired = {row[2] for row in rows if row[1] in removed and row[3] == "fired"}
    return {
        each: Earlier(decision="fired") if each.key in fired else earlier
        for each in part
        if (earlier := given.get((each.trigger_id, each.key), NOTHING)).id or each.key in fired
    }


def removed_triggers(bot_id: str) -> frozenset[str]:
    """Triggers that the bot had once, and that have answers still."""
    seen = OccurrenceRow.select(OccurrenceRow.trigger_id).where(OccurrenceRow.bot_id == bot_id)
    present = TriggerRow.select(TriggerRow.id).where(TriggerRow.bot_id == bot_id)
    return frozenset(row[0] for row in fetch(seen.distinct())) - {r[0] for r in fetch(present)}
