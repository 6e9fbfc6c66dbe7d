"""The alert rows of a bot's live version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from codex32.engine.reading.building import build_alert
from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.bot import Alert, Bot
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, canonical, loads


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert as its row holds it.

    Attributes:
      allow: ``hosts`` and ``secrets`` of the bot: what its notices may use.
    """

    alert: Alert
    allow: JSON


@lru_cache(maxsize=1024)
def restored(text: str) -> Rule:
    """The rule of a row's text."""
    held = loads(text)
    return Rule(build_alert(held["rule"]), held["allow"])


def reconcile(bot_id: str, workspace: str, bot: Bot, now: int, *, live: bool) -> None:
    """Bring a bot's alert rows to what its version says.

    An alert of the same name stands as it stood, whatever its rule says now; one that is no
    longer there, or whose bot is not live, is forgotten, and nobody is told that it is over.
    """
    wanted = _texts(bot) if live else {}
    rows = {row.name: row for row in AlertRow.select().where(AlertRow.bot_id == bot_id)}
    for name, (text, event) in wanted.items():
        row = rows.pop(name, None)
        if row is None:
            AlertRow.insert(
                id=new_id("alr"),
                workspace=workspace,
                bot_id=bot_id,
                bot_name=bot.name,
                name=name,
                definition=text,
                event=event,
                state_since=now,
                created_at=now,
            ).execute()
        elif row.definition != text:
            AlertRow.update(
                definition=text,
                event=event,
                # Events that nobody asked for are not kept: another is told from now.
                created_at=row.created_at if event == row.event else now,
                revision=AlertRow.revision + 1,
            ).where(AlertRow.id == row.id).execute()
    if rows:
        gone = [row.id for row in rows.values()]
        AlertRow.delete().where(AlertRow.id.in_(gone)).execute()


def forget(bot_id: str) -> None:
    """Forget the alerts of a bot that is removed."""
    AlertRow.delete().where(AlertRow.bot_id == bot_id).execute()


def _texts(bot: Bot) -> dict[str, tuple[str, str | None]]:
    """The definition and the event of each alert, by its name."""
    allow = {"hosts": list(bot.allow.hosts), "secrets": list(bot.allow.secrets)}
    raws = bot.document.get("alerts", ())
    texts = [canonical({"rule": raw, "allow": allow}) for raw in raws]
    events = [
        str(alert.limit) if alert.kind in ("event", "no_event") else None for alert in bot.alerts
    ]
    names = [alert.name for alert in bot.alerts]
    return dict(zip(names, zip(texts, events, strict=True), strict=True))
