"""Who listens to events: triggers of live bots, steps that wait, alerts, streams, webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codex32.kernel.batches import any_of, listed
from codex32.kernel.bot import Trigger
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.database import is_sqlite
from codex32.kernel.json_values import loads
from codex32.kernel.models import database_proxy
from codex32.services.bots.schedules import TriggerTypes, restored
from codex32.services.triggers.occurrences import Due


@dataclass(frozen=True, slots=True)
class Listener:
    """A trigger that answers events, with its bot."""

    due: Due
    trigger: Trigger
    pattern: str


def answers_events(kind: TriggerType) -> bool:
    """Whether triggers of this kind may answer events."""
    return type(kind).event_pattern is not TriggerType.event_pattern


def watches_files(kind: TriggerType) -> bool:
    """Whether triggers of this kind may answer files."""
    return type(kind).watched_files is not TriggerType.watched_files


#: Who listens, each with a name, a list of names, or a trigger that knows one. Asked every second
#: while executions run, so it is one statement with one text.
_LISTENING = """
SELECT workspace, pattern AS name, NULL AS names, NULL AS kind, NULL AS definition
    FROM subscription WHERE answer IS NULL
UNION SELECT workspace, pattern, NULL, NULL, NULL FROM feed WHERE kept_until > {mark}
UNION SELECT workspace, event, NULL, NULL, NULL FROM alert WHERE event IS NOT NULL
UNION SELECT workspace, NULL, patterns, NULL, NULL FROM endpoint WHERE enabled
UNION SELECT bot.workspace, NULL, NULL, trigger.kind, trigger.definition
    FROM trigger JOIN bot ON bot.id = trigger.bot_id WHERE trigger.enabled AND {kinds}
"""


#: Asked every second, so it is one text.
_LIVE = """
SELECT trigger.id, trigger.bot_id, trigger.definition, 0, bot.name, bot.workspace, bot.paused,
        version.id, version.number
    FROM trigger JOIN bot ON bot.id = trigger.bot_id
    LEFT JOIN bot_version AS version ON version.id = bot.active_version_id
    WHERE trigger.enabled AND {kinds} ORDER BY trigger.id
"""


def patterns(types: TriggerTypes, now: int) -> set[tuple[str, str]]:
    """Every pattern of names that somebody listens to, with the workspace."""
    mark = "?" if is_sqlite() else "%s"
    kinds = [name for name, kind in types.items() if answers_events(kind)]
    asked = _LISTENING.format(mark=mark, kinds=any_of("trigger.kind"))
    found: set[tuple[str, str]] = set()
    rows = database_proxy.execute_sql(asked, (now, listed(kinds))).fetchall()
    for workspace, name, names, kind, definition in rows:
        if kind is not None:
            name = types[kind].event_pattern(restored(definition).config)
        told = [name] if names is None else loads(names)
        found.update((workspace, pattern) for pattern in told if pattern is not None)
    return found


def event_listeners(types: TriggerTypes) -> list[Listener]:
    """The live triggers that answer events."""
    found = []
    kinds = [name for name, kind in types.items() if answers_events(kind)]
    for due in live(kinds):
        trigger = restored(due.definition)
        pattern = types[trigger.kind].event_pattern(trigger.config)
        if pattern is not None:
            found.append(Listener(due, trigger, pattern))
    return found


def live(kinds: Sequence[str]) -> list[Due]:
    """The live triggers of some kinds, with their bots; their times are of no interest."""
    if not kinds:
        return []
    rows = database_proxy.execute_sql(_LIVE.format(kinds=any_of("trigger.kind")), (listed(kinds),))
    return [Due(*row) for row in rows.fetchall()]
