"""The alert rows that bots' live versions ask for.

An alert of a bot about itself is one row. One that names other bots (``bots:``) is one row for
each of them, and which these are changes with the bots of the workspace: a rule row holds it, and
:func:`follow` brings the alerts to what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from codex32.engine.reading.building import build_alert
from codex32.kernel.alert_rows import AlertRow, AlertRuleRow
from codex32.kernel.batches import Insert
from codex32.kernel.bot import Alert, Bot
from codex32.kernel.database import fetch
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, canonical, dumps, loads
from codex32.kernel.models import BotRow
from codex32.kernel.text import did_you_mean
from codex32.services.bots.written import RUN

#: Alerts that one write brings to what rules say; the next look does the rest.
MOST = 500
_ALERTS = Insert(
    AlertRow,
    (
        *("id", "workspace", "bot_id", "bot_name", "owner_id", "owner_name", "name"),
        *("definition", "event", "state", "state_since", "told", "detail", "note", "notices"),
        *("revision", "created_at"),
    ),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert as its row holds it.

    Attributes:
      allow: ``hosts`` and ``secrets`` of the bot: what its notices may use.
    """

    alert: Alert
    allow: JSON


@dataclass(frozen=True, slots=True)
class _Owner:
    """The bot whose version says what is wanted."""

    id: str
    name: str
    workspace: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An alert that should have a row.

    Attributes:
      bot_id: Whom it looks at; empty where no live bot has the name.
      detail: What is to be said of it before anything was seen.
    """

    bot_id: str
    bot_name: str
    name: str
    definition: str
    event: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Change:
    """An alert that is to be made, written anew, or, where ``wanted`` is None, forgotten."""

    owner: _Owner
    wanted: _Wanted | None
    row: AlertRow | None


@lru_cache(maxsize=1024)
def restored(text: str) -> Rule:
    """The rule of a row's text."""
    held = loads(text)
    return Rule(build_alert(held["rule"]), held["allow"])


def reconcile(bot_id: str, workspace: str, bot: Bot, now: int, *, live: bool) -> None:
    """Bring a bot's alert rows to what its version says.

    An alert of the same name, about the same bot, stands as it stood, whatever its rule says now;
    one that is no longer there, or whose bot is not live, is forgotten, and nobody is told that it
    is over.
    """
    owner = _Owner(bot_id, bot.name, workspace)
    texts = _texts(bot) if live else {}
    rules = _keep_rules(owner, bot, texts)
    own = [
        _Wanted(bot_id, bot.name, alert.name, texts[alert.name], _event(alert))
        for alert in bot.alerts
        if live and not alert.bots
    ]
    mine = AlertRow.select().where(AlertRow.owner_id == bot_id)
    wide = {alert.name for alert in bot.alerts if live and alert.bots}
    _write(_changes(owner, own, [row for row in mine if row.name not in wide]), now)
    if rules:
        follow(now, workspace)


def forget(bot_id: str) -> None:
    """Forget the alerts of a bot that is removed, and those about it."""
    AlertRuleRow.delete().where(AlertRuleRow.owner_id == bot_id).execute()
    theirs = (AlertRow.owner_id == bot_id) | (AlertRow.bot_id == bot_id)
    AlertRow.delete().where(theirs).execute()


def is_followed() -> bool:
    """Whether the alerts about other bots are what the rules say; reads alone."""
    return next(_to_follow(), None) is None


def follow(now: int, workspace: str | None = None) -> None:
    """Bring the alerts about other bots to what there is, ``MOST`` of them; inside a write."""
    found = _to_follow(workspace)
    _write([change for change, _ in zip(found, range(MOST), strict=False)], now)


def _to_follow(workspace: str | None = None) -> Iterator[_Change]:
    rules = AlertRuleRow.select().order_by(AlertRuleRow.owner_id, AlertRuleRow.name)
    if workspace is not None:
        rules = rules.where(AlertRuleRow.workspace == workspace)
    there: dict[str, Mapping[str, str]] = {}
    for rule in rules:
        if rule.workspace not in there:
            there[rule.workspace] = _live_bots(rule.workspace)
        owner = _Owner(rule.owner_id, rule.owner_name, rule.workspace)
        mine = (AlertRow.owner_id == rule.owner_id) & (AlertRow.name == rule.name)
        wanted = _about(rule, there[rule.workspace])
        yield from _changes(owner, wanted, AlertRow.select().where(mine))


def _live_bots(workspace: str) -> Mapping[str, str]:
    """Ids by name of what can be executed in the workspace."""
    alive = BotRow.enabled & BotRow.removed_at.is_null() & BotRow.active_version_id.is_null(False)
    works = (BotRow.origin != RUN) & ~BotRow.alerts_only
    rows = BotRow.select(BotRow.name, BotRow.id).where(
        (BotRow.workspace == workspace) & alive & works
    )
    return dict(fetch(rows))


def _about(rule: AlertRuleRow, there: Mapping[str, str]) -> list[_Wanted]:
    """The alerts that a rule about other bots comes to."""
    found: dict[str, _Wanted] = {}
    for pattern in loads(rule.bots):
        if "*" in pattern:
            # Only stars are wild in it, and many of them cost no more than one.
            names: Iterable[str] = [name for name in there if fnmatchcase(name, pattern)]
        else:
            names = (pattern,)
        for name in names:
            missing = f"there is no bot {name!r}{did_you_mean(name, there)}"
            detail = "" if name in there else missing
            found[name] = _Wanted(
                there.get(name, ""), name, rule.name, rule.definition, detail=detail
            )
    return list(found.values())


def _changes(
    owner: _Owner, wanted: Sequence[_Wanted], rows: Iterable[AlertRow]
) -> Iterator[_Change]:
    """What the rows lack that should be those of ``wanted``."""
    known = {(row.bot_name, row.name): row for row in rows}
    for each in wanted:
        row = known.pop((each.bot_name, each.name), None)
        if (
            row is None
            or (row.definition, row.bot_id) != (each.definition, each.bot_id)
            or (not each.bot_id and row.detail != each.detail)
        ):
            yield _Change(owner, each, row)
    for row in known.values():
        yield _Change(owner, None, row)


def _write(changes: Iterable[_Change], now: int) -> None:
    new, gone = [], []
    for change in changes:
        owner, wanted, row = change.owner, change.wanted, change.row
        if wanted is None:
            assert row is not None
            gone.append(row.id)
        elif row is None:
            about = (wanted.bot_id, wanted.bot_name, owner.id, owner.name, wanted.name)
            text = (wanted.definition, wanted.event)
            standing = ("ok", now, "ok", wanted.detail, "", "[]", 0, now)
            new.append((new_id("alr"), owner.workspace, *about, *text, *standing))
        else:
            _renew(row, wanted, now)
    if gone:
        AlertRow.delete().where(AlertRow.id.in_(gone)).execute()
    _ALERTS.write(new)


def _renew(row: AlertRow, wanted: _Wanted, now: int) -> None:
    columns: dict[str, JSON] = {"definition": wanted.definition, "event": wanted.event}
    if wanted.bot_id != row.bot_id or not wanted.bot_id:
        # Another bot, or none: nothing of what was seen is known of it.
        columns |= {"bot_id": wanted.bot_id, "detail": wanted.detail, "created_at": now}
        columns |= {"state": "ok", "state_since": now, "turning_since": None, "told": "ok"}
    elif wanted.event != row.event:
        # Events that nobody asked for are not kept: another is told from now.
        columns["created_at"] = now
    change = AlertRow.update({**columns, "revision": AlertRow.revision + 1})
    change.where(AlertRow.id == row.id).execute()


def _keep_rules(owner: _Owner, bot: Bot, texts: Mapping[str, str]) -> bool:
    """Keep which of a bot's alerts are about others; whether there are any."""
    AlertRuleRow.delete().where(AlertRuleRow.owner_id == owner.id).execute()
    wide = [alert for alert in bot.alerts if alert.bots and alert.name in texts]
    for alert in wide:
        AlertRuleRow.insert(
            owner_id=owner.id,
            owner_name=owner.name,
            workspace=owner.workspace,
            name=alert.name,
            definition=texts[alert.name],
            bots=dumps(list(alert.bots)),
        ).execute()
    return bool(wide)


def _event(alert: Alert) -> str | None:
    return str(alert.limit) if alert.kind in ("event", "no_event") else None


def _texts(bot: Bot) -> dict[str, str]:
    """The definition of each alert, by its name."""
    allow = {"hosts": list(bot.allow.hosts), "secrets": list(bot.allow.secrets)}
    raws = bot.document.get("alerts", ())
    texts = [canonical({"rule": raw, "allow": allow}) for raw in raws]
    return dict(zip([alert.name for alert in bot.alerts], texts, strict=True))
