"""Looking at all alerts, again and again; any number of schedulers may.

Looks only read. What is news is written once, by whoever is first: a row's ``revision`` says
whether somebody was. With it the events and the executions of the notices are written, so
there is no alert that fires and tells nobody, and none that tells twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby

from codex32.engine.records import gates
from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.clock import Clock, from_micros
from codex32.kernel.database import Door, announce
from codex32.kernel.errors import Codex32Error
from codex32.kernel.events import AlertChanged
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, canonical, dumps, loads
from codex32.kernel.models import BotRow
from codex32.services.alerts import notices
from codex32.services.alerts.measuring import measure
from codex32.services.alerts.notices import Notice
from codex32.services.alerts.standing import ESCALATED, FIRING, OK, Standing
from codex32.services.bots import alert_rules
from codex32.services.bots.alert_rules import Rule, restored
from codex32.services.executions.executions import Submitted
from codex32.services.executions.starting import Start, Starter

log = logging.getLogger(__name__)

#: Alerts that are read with one query.
PAGE = 200
#: What makes notices before it untrue.
TURNS = frozenset({FIRING, OK})


@dataclass(frozen=True, slots=True)
class News:
    """An alert that stands otherwise than its row says, or that people do not know of."""

    row: AlertRow
    rule: Rule
    standing: Standing
    #: What people are to be told, if anything.
    what: str | None


class Watch:
    """Looks at alerts.

    Args:
      door: The database.
      starter: Starts the executions that carry notices.
    """

    def __init__(self, door: Door, starter: Starter, clock: Clock) -> None:
        self._door, self._starter, self._clock = door, starter, clock

    async def look(self) -> int:
        """Look at all alerts once; how many changed."""
        changed = 0
        if not await self._door.read(alert_rules.is_followed):
            await self._door.write(self._follow)
        after: str | None = ""
        while after is not None:
            found, after = await self._door.read(look, self._clock.micros(), after)
            for _, same in groupby(found, key=lambda news: news.row.owner_id):
                changed += await self._write(list(same))
        return changed

    def _follow(self) -> None:
        gates.lock("registry")
        alert_rules.follow(self._clock.micros())

    async def _write(self, news: Sequence[News]) -> int:
        try:
            return await self._door.write(partial(self.write, news))
        except Codex32Error:
            # The others are not to wait for a bot whose notices cannot be made.
            row = news[0].row
            about = {"workspace": row.workspace, "bot": row.owner_name}
            told = "alerts of %s cannot be told and are looked at again"
            log.exception(told, row.owner_name, extra=about)
            return 0

    def write(self, news: Sequence[News]) -> int:
        """Write the news of one owner that nobody else has written; how many. Inside a write."""
        now = self._clock.micros()
        if any(each.what for each in news):
            gates.lock("registry")  # whoever changes bots takes it before their alerts, too
        first = [each for each in news if _claim(each)]
        fault_point("alerts.after_claim")
        for each in first:
            _announce(each, now)
        notices.supersede([loads(each.row.notices) for each in first if each.what in TURNS], now)
        starts, told_by = [], []
        for target, allow, same in _by_target(first):
            told = [_notice(each) for each in same]
            row = same[0].row
            starts.append(
                notices.carry(
                    target, allow, told, now, owner=row.owner_name, workspace=row.workspace
                )
            )
            told_by.append([each.row.id for each in same])
        made: dict[str, list[str]] = {}
        for ids, answer in zip(told_by, self._start(starts), strict=True):
            if isinstance(answer, Codex32Error):
                raise answer
            for alert_id in ids:
                made.setdefault(alert_id, []).append(str(answer.id))
        for each in first:
            if each.what == ESCALATED and each.row.id in made:
                # That it fires may still be on its way, and is to be found when it is over.
                made[each.row.id] = [*loads(each.row.notices), *made[each.row.id]]
        for alert_id, executions in made.items():
            AlertRow.update(notices=dumps(executions)).where(AlertRow.id == alert_id).execute()
        return len(first)

    def _start(self, starts: Sequence[Start]) -> Sequence[Submitted | Codex32Error]:
        return self._starter.start_many(starts) if starts else ()


def look(now: int, after: str = "") -> tuple[list[News], str | None]:
    """The news among the alerts with an id above ``after``, and the last id; None at the end.

    A bot that is paused is not looked at, and does not look; its alerts stand as they stood.
    """
    owner = BotRow.alias()
    rows = list(
        AlertRow.select(AlertRow)
        .join(BotRow, on=(BotRow.id == AlertRow.bot_id))
        .switch(AlertRow)
        .join(owner, on=(owner.id == AlertRow.owner_id))
        .where((AlertRow.id > after) & ~BotRow.paused & ~owner.paused)
        .order_by(AlertRow.id)
        .limit(PAGE)
    )
    found = [each for row in rows if (each := _look(row, now)) is not None]
    found.sort(key=lambda news: news.row.owner_id)
    return found, rows[-1].id if len(rows) == PAGE else None


def _look(row: AlertRow, now: int) -> News | None:
    rule = restored(row.definition)
    before = Standing.of(row)
    after = before.seen(rule.alert, measure(row, rule.alert, now), now)
    silent = row.silenced_until is not None and row.silenced_until > now
    what = None if silent else after.to_tell(rule.alert, now)
    return None if after == before and what is None else News(row, rule, after, what)


def _claim(news: News) -> bool:
    """Write how an alert stands, if nobody has changed it since it was looked at."""
    columns: dict[str, JSON] = asdict(news.standing)
    if news.what is not None:
        columns["told"] = news.what
    if news.standing.state != news.row.state:
        columns |= {"acknowledged_at": None, "note": ""}
    mine = (AlertRow.id == news.row.id) & (AlertRow.revision == news.row.revision)
    change = AlertRow.update({**columns, "revision": news.row.revision + 1})
    return bool(change.where(mine).execute())


def _announce(news: News, now: int) -> None:
    row, after = news.row, news.standing
    changes = []
    if after.state != row.state:
        changes.append("fired" if after.state == FIRING else "resolved")
    if news.what == ESCALATED:
        changes.append("escalated")
    for change in changes:
        announce(
            AlertChanged(
                at=from_micros(now),
                workspace=row.workspace,
                bot=row.bot_name,
                alert=row.name,
                change=change,
                detail=after.detail,
            )
        )


def _notice(news: News) -> Notice:
    assert news.what is not None
    row, after = news.row, news.standing
    return Notice(row.bot_name, row.name, news.what, after.detail, after.state_since)


def _by_target(news: Iterable[News]) -> list[tuple[dict[str, JSON], JSON, list[News]]]:
    """What is told to the same is told at once."""
    found: dict[str, tuple[dict[str, JSON], JSON, list[News]]] = {}
    for each in news:
        if each.what is None:
            continue
        allow = each.rule.allow
        for target in notices.targets(each.rule, each.what, each.row.told):
            key = canonical([dict(target), allow])
            found.setdefault(key, (dict(target), allow, []))[2].append(each)
    return list(found.values())
