"""Events as streams read them, and who asks that they be written at all.

Nobody's events are not written. So a stream says first what it wants to hear, in a row that it
keeps for as long as it is open and some minutes longer: a client that comes back in time has
missed nothing. Processes hear of a new row within a second (``services.outbox``); from when on all
of them have is kept in the row, and a position before it is one after which something may be
missing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.kernel.batches import Insert
from codex32.kernel.database import fetch
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import EventRow
from codex32.kernel.outbound_rows import FeedRow
from codex32.services.events.outbox import MAX_AGE_SECONDS
from codex32.services.presentation import iso

#: How long events are written after the last stream that shows them has ended.
KEPT_SECONDS = 300
#: All processes have heard of a feed that is so old.
HEARD_MICROS = int((MAX_AGE_SECONDS + 1) * 1e6)
#: Feeds that lapsed are forgotten after a day.
_FORGOTTEN_MICROS = 86_400_000_000

_FEEDS = Insert(
    FeedRow, ("workspace", "pattern", "opened_at", "kept_until", "whole_from"), replace=True
)


@dataclass(frozen=True, slots=True)
class Feed:
    """What some streams of one workspace show."""

    workspace: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Since when a feed's events are written, and after which ``seq`` by every process."""

    opened_at: int
    whole_from: int | None


def keep(feeds: Collection[Feed], now: int) -> dict[Feed, Kept]:
    """Have events written that these feeds show; called in a write."""
    until = now + KEPT_SECONDS * 1_000_000
    known: dict[Feed, Kept] = {}
    for feed in feeds:
        mine = (FeedRow.workspace == feed.workspace) & (FeedRow.pattern == feed.pattern)
        row = FeedRow.get_or_none(mine)
        if row is not None and row.kept_until > now:
            FeedRow.update(kept_until=until).where(mine).execute()
            known[feed] = Kept(row.opened_at, row.whole_from)
        else:
            _FEEDS.write([(feed.workspace, feed.pattern, now, until, None)])
            known[feed] = Kept(now, None)
    FeedRow.delete().where(FeedRow.kept_until < now - _FORGOTTEN_MICROS).execute()
    return known


def complete(feeds: Collection[Feed], seq: int) -> None:
    """Note that after ``seq`` nothing of these feeds is missing; called in a write."""
    for feed in feeds:
        mine = (FeedRow.workspace == feed.workspace) & (FeedRow.pattern == feed.pattern)
        FeedRow.update(whole_from=seq).where(mine & FeedRow.whole_from.is_null()).execute()


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as a stream shows it."""

    seq: int
    id: str
    workspace: str
    name: str
    at: int
    data: str
    chain: str

    @property
    def bot(self) -> str:
        """The bot that it tells of; empty where it tells of none."""
        told: JSON = loads(self.data)
        return str(told.get("bot", "")) if isinstance(told, dict) else ""

    def as_json(self) -> str:
        """As a stream tells it."""
        return dumps(
            {
                "id": self.id,
                "name": self.name,
                "at": iso(self.at),
                "data": loads(self.data),
                "chain": loads(self.chain),
            }
        )

    def as_status(self) -> str:
        """An event ``execution.*`` as a change of the execution's status."""
        data = loads(self.data)
        status = self.name.removeprefix("execution.")
        return dumps(
            {
                "execution": data["execution"],
                "bot": data["bot"],
                "status": "running" if status == "started" else status,
                "at": iso(self.at),
                "cause": data.get("cause"),
                "message": data.get("message", ""),
            }
        )


def events_after(workspaces: Sequence[str], after: int, until: int, limit: int) -> list[Happened]:
    """Events of some workspaces, in order; called on a reader thread."""
    query = EventRow.select(
        EventRow.seq,
        EventRow.id,
        EventRow.workspace,
        EventRow.name,
        EventRow.at,
        EventRow.data,
        EventRow.chain,
    ).where(
        # An index of workspaces would give all they ever had, to be sorted: the range is short.
        (EventRow.seq > after)
        & (EventRow.seq <= until)
        & EventRow.workspace.concat("").in_(list(workspaces))
    )
    return [Happened(*row) for row in fetch(query.order_by(EventRow.seq).limit(limit))]


def reaches_back(seq: int) -> bool:
    """Whether what followed ``seq`` is still there; called on a reader thread."""
    ((oldest,),) = fetch(EventRow.select(pw.fn.MIN(EventRow.seq)))
    return seq == 0 or (oldest is not None and oldest <= seq + 1)
