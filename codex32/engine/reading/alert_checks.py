"""Checking the alerts of a definition."""

from __future__ import annotations

from collections.abc import Mapping

from codex32.engine.expressions import OPEN, Scope
from codex32.engine.reading.alert_schema import ALERT, ALERT_DURATIONS, ALERT_KINDS
from codex32.engine.reading.building import Raw
from codex32.engine.reading.document import Path
from codex32.engine.reading.telling import Teller
from codex32.kernel.components import Components
from codex32.kernel.errors import ComponentNotFound
from codex32.kernel.event_names import WILD, pattern_fault
from codex32.kernel.json_values import JSON
from codex32.kernel.text import parse_duration

#: The kinds that count within a time, and the keys that say how.
_COUNTING = frozenset({"failure_rate", "event", "no_event"})
_EVENTS = ("event", "no_event")
#: The house looks every few seconds, and events are kept for a week.
_SHORTEST, _LONGEST, _LONGEST_OF_EVENTS = 1.0, 366 * 86400.0, 7 * 86400.0


class AlertChecks:
    """Checks alerts against what is installed.

    Args:
      scope: Where notices go may name what stands there.
      alone: The file holds alerts and nothing to execute, which could be looked at.
    """

    def __init__(self, tell: Teller, components: Components, scope: Scope, *, alone: bool) -> None:
        self._tell, self._components, self._scope = tell, components, scope
        self._alone = alone
        self._names: set[str] = set()

    def check(self, path: Path, raw: Raw, written: Raw) -> None:
        """Check one alert.

        Args:
          path: Where it stands.
          raw: Without its wrongly built parts.
          written: With them.
        """
        name = raw.get("name")
        if name is not None and name in self._names:
            self._tell.say((*path, "name"), f"two alerts are called {name!r}", "duplicate")
        self._names.add(str(name))
        kinds = [key for key in written if key in ALERT_KINDS]
        misspelt = not kinds and not written.keys() <= ALERT["properties"].keys()
        if len(kinds) != 1 and not misspelt:
            what = f"one of {', '.join(ALERT_KINDS)}"
            message = f"an alert looks at {what}" + (", not at several" if kinds else "")
            self._tell.say(path, message, "invalid" if kinds else "missing")
        elif kinds and kinds[0] in raw:
            self._kind(path, kinds[0], raw)
            self._whom(path, kinds[0], written)
        self._notices((*path, "notify"), raw.get("notify"))
        more = raw.get("escalate")
        if isinstance(more, Mapping):
            self._notices((*path, "escalate", "notify"), more.get("notify"))

    def _kind(self, path: Path, kind: str, raw: Raw) -> None:
        if kind in ALERT_DURATIONS:
            self._duration((*path, kind), raw[kind], _LONGEST)
        if kind in _EVENTS:
            self._event((*path, kind), raw[kind])
        for key in ("over", "at_least"):
            if key in raw and (kind not in _COUNTING or (key, kind) == ("at_least", "no_event")):
                self._tell.say((*path, key), f"{kind} has no {key!r}; remove it", key=True)
        if isinstance(over := raw.get("over"), str):
            self._duration(
                (*path, "over"), over, _LONGEST_OF_EVENTS if kind in _EVENTS else _LONGEST
            )

    def _whom(self, path: Path, kind: str, written: Raw) -> None:
        if kind in _EVENTS and "bots" in written:
            message = f"{kind} concerns the whole workspace and no bot; remove 'bots'"
            self._tell.say((*path, "bots"), message, key=True)
        elif kind not in _EVENTS and self._alone and "bots" not in written:
            message = 'say whom it looks at, such as bots: [nightly-orders] or bots: ["*"]'
            self._tell.say(path, message, "missing")

    def _duration(self, path: Path, text: str, longest: float) -> None:
        if not _SHORTEST <= parse_duration(text) <= longest:
            self._tell.say(path, f"must be from 1s to {longest / 86400:.0f}d, not {text}")

    def _event(self, path: Path, name: str) -> None:
        if WILD.search(name):
            self._tell.say(path, "name one event, without * and the like", "event")
        elif fault := pattern_fault(name):
            self._tell.say(path, fault, "event")
        elif name.startswith("alert."):
            message = "an alert about alerts would answer itself; a bot may, by its trigger"
            self._tell.say(path, message, "event")

    def _notices(self, path: Path, notices: JSON) -> None:
        for index, each in enumerate(notices or ()):
            if not isinstance(each, Mapping):
                continue
            to = each.get("to")
            if isinstance(to, str) and OPEN not in to:
                try:
                    self._components.notifier(to)
                except ComponentNotFound as error:
                    self._tell.say((*path, index, "to"), error.message, "not-installed")
            self._tell.expressions((*path, index), dict(each), self._scope)
