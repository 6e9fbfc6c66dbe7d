"""What happens in the house, told in calm lines; learnt from the rows, two looks a second."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from codex32.cli.follow import clock_text, ending_text
from codex32.cli.output import STYLES
from codex32.kernel.beats import until_beat
from codex32.kernel.bot import ALERT_NOTICES
from codex32.kernel.clock import SystemClock
from codex32.kernel.database import Door, fetch
from codex32.kernel.models import BotRow, ExecutionRow
from codex32.kernel.statuses import Status
from codex32.services.bots import bot_views
from codex32.services.bots.bot_views import BotView
from codex32.services.executions import executions
from codex32.services.executions.diagnosing import TraceOf

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.5
#: The same after the database could not be read.
REST_SECONDS = 5.0
#: An execution's end may be committed this much later than one that ended after it.
_LATE_MICROS = 3_000_000
#: More of a kind in one look are told as a number.
_MANY = 12
#: Columns whose change is news of a bot.
_STANDING = (
    BotRow.name,
    BotRow.active_version_id,
    BotRow.paused,
    BotRow.problems,
    BotRow.removed_at,
)
_SIGNS = {"removed": "-", "broken": "!", "paused": "="}


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of news: a line for people, and data for programs."""

    text: str
    data: Mapping[str, Any]
    style: str | None = None


class News:
    """Remembers what was told.

    Args:
      since: What ended before is old, in microseconds.
      trace: Where an execution stands in a trace; None where nothing is traced.
    """

    def __init__(self, since: int, trace: TraceOf | None = None) -> None:
        self._begin = self._newest = since
        self._trace = trace
        self._told: frozenset[str] = frozenset()
        self._bots: dict[str, tuple[Any, ...]] | None = None

    def look(self) -> list[Item]:
        """What is new; a function for ``Door.read``."""
        return [*self._bot_news(), *self._execution_news()]

    def _bot_news(self) -> Iterator[Item]:
        known = self._bots or {}
        shown = BotRow.select(*_STANDING).where(BotRow.name != ALERT_NOTICES)
        now = {row[0]: row[1:] for row in fetch(shown)}
        changed = {name for name, each in now.items() if known.get(name) != each}
        first, self._bots = self._bots is None, now
        if not changed:
            return
        views = [v for v in bot_views.listing(removed=not first) if v.row.name in changed]
        if len(views) > _MANY:
            broken = [view for view in views if view.standing == "broken"]
            text = f"{len(views)} bots {'found' if first else 'changed'}"
            yield Item(f"{text}, {len(broken)} broken" if broken else text, {"bots": len(views)})
            views = broken[:_MANY]
        for view in views:
            yield _bot_item(view, view.row.name in known)

    def _execution_news(self) -> Iterator[Item]:
        ended = ExecutionRow.finished_at
        since = max(self._newest - _LATE_MICROS, self._begin)
        columns = ExecutionRow.id, ended, ExecutionRow.status
        rows = fetch(ExecutionRow.select(*columns).where(ended > since).order_by(ended))
        fresh = [(row[0], row[2]) for row in rows if row[0] not in self._told]
        if not rows:
            return
        self._newest, self._told = rows[-1][1], frozenset(row[0] for row in rows)
        chosen = [each[0] for each in fresh]
        if len(fresh) > _MANY:
            yield Item(f"{len(fresh)} executions ended", {"executions": len(fresh)})
            chosen = [each[0] for each in fresh if each[1] == Status.FAILED][:_MANY]
        if chosen:
            wanted = ExecutionRow.select().where(ExecutionRow.id.in_(chosen)).order_by(ended)
            for row in wanted:
                text = f"{ending_text(row)}  ({row.trigger_kind})"
                yield Item(text, self._execution(row), STYLES.get(row.status))

    def _execution(self, row: ExecutionRow) -> Mapping[str, Any]:
        data = {**executions.as_dict(row), "workspace": row.workspace}
        if self._trace is not None:
            data["trace"] = {"id": self._trace(row.id, row.traceparent).trace}
        return data


async def tell(door: Door, since: int, trace: TraceOf | None = None) -> None:
    """Print the news as they come, until cancelled: a JSON document a line."""
    news = News(since, trace)
    while True:
        try:
            for item in await door.read(news.look):
                event = "execution" if "id" in item.data else "bot"
                told = {"event": event, "text": item.text, "style": item.style, "data": item.data}
                print(json.dumps(told), flush=True)
        except Exception as error:
            log.warning("what happens cannot be told: %s", error)
            await asyncio.sleep(REST_SECONDS)
        await asyncio.sleep(until_beat(LOOK_EVERY_SECONDS))


def _when(micros: int) -> str:
    """A time to come; the day only where it is not today."""
    today = clock_text(SystemClock.shared.micros()).partition(" ")[0]
    return clock_text(micros).removeprefix(f"{today} ")


def _bot_item(view: BotView, known: bool) -> Item:
    sign = _SIGNS.get(view.standing, "~" if known else "+")
    told = f"{sign} {view.row.name}  version {view.number or 'none'}"
    if view.standing != "active":
        told = f"{sign} {view.row.name}  {view.standing}"
    if view.standing == "broken" and view.number:
        told += f"; version {view.number} stays live"
    if view.next_at is not None:
        told += f"  next {_when(view.next_at)}"
    data = {**bot_views.as_dict(view), "workspace": view.row.workspace}
    return Item(told, data, STYLES.get(view.standing))
