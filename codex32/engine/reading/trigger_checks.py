"""Checking the triggers of a definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from codex32.engine.reading.building import Raw
from codex32.engine.reading.document import Path
from codex32.engine.reading.schema import TRIGGER_KEYS
from codex32.engine.reading.scopes import Scopes
from codex32.engine.reading.telling import Teller, validator_of
from codex32.engine.values.validation import Validator, schema_findings
from codex32.kernel.contracts.trigger_type import TriggerType
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean


class TriggerChecks:
    """Checks triggers against the installed trigger types and the bot.

    Args:
      inputs: Those that the bot declares.
      secrets: The names in ``allow.secrets``.
    """

    def __init__(
        self,
        tell: Teller,
        installed: Mapping[str, TriggerType],
        inputs: Mapping[str, JSON],
        secrets: Sequence[str],
    ) -> None:
        self._tell, self._installed, self._inputs = tell, installed, inputs
        self._secrets = secrets
        #: What is served, and where it stands in the file.
        self._served: dict[tuple[str, str], Path] = {}

    def check(self, path: Path, raw: Raw) -> None:
        """Check one trigger as it is written."""
        kinds = [key for key in raw if key not in TRIGGER_KEYS]
        installed = self._installed
        known = [kind for kind in kinds if kind in installed]
        for kind in kinds:
            if kind not in installed:
                self._unknown_kind(path, kind, bool(known))
        if len(known) > 1:
            both = " and ".join(known)
            self._tell.say(path, f"one kind a trigger, not {both}; write a trigger for each")
        if not kinds:
            self._tell.say(
                path, f"a trigger needs a kind: {', '.join(sorted(installed))}", "missing"
            )
        if len(known) == 1:
            self._config((*path, known[0]), known[0], raw)
        scope = Scopes.trigger()
        self._tell.condition((*path, "if"), raw, scope)
        for key in ("dedupe", "inputs"):
            self._tell.expressions((*path, key), raw.get(key), scope)
        self._given((*path, "inputs"), raw.get("inputs", {}))

    def _unknown_kind(self, path: Path, kind: str, is_key: bool) -> None:
        installed = self._installed
        if is_key:
            near, names = did_you_mean(kind, TRIGGER_KEYS), ", ".join(TRIGGER_KEYS)
            message = f"unknown key {kind!r}{near}; beside the kind there may be: {names}"
            self._tell.say((*path, kind), message, "unknown-key", key=True)
            return
        near = did_you_mean(kind, [*installed, *TRIGGER_KEYS])
        there = ", ".join(sorted(installed)) or "none"
        message = f"no trigger type is called {kind!r}{near}; installed: {there}"
        self._tell.say((*path, kind), message, "not-installed", key=True)

    def _config(self, path: Path, kind: str, raw: Raw) -> None:
        component, config = self._installed[kind], raw[kind]
        faults = validator_of(component, "config_schema").findings(config)
        self._tell.findings(path, faults)
        if not faults:
            zone = raw.get("timezone", "UTC")
            if _is_zone(zone):
                before = len(self._tell.problems)
                self._tell.plugin(path, kind, lambda: component.problems(raw[kind], zone))
                if len(self._tell.problems) == before:
                    self._tell.plugin(
                        path, kind, lambda: self._webhook(path, component, raw[kind])
                    )
            else:
                near = did_you_mean(zone, available_timezones())
                message = f"no time zone is called {zone!r}{near}; write one like Europe/Berlin"
                self._tell.say((*path[:-1], "timezone"), message, "timezone")

    def _webhook(self, path: Path, component: TriggerType, config: JSON) -> Iterator[Problem]:
        """Secrets that the bot may not use, and addresses that it serves twice."""
        webhook = component.webhook(config)
        if webhook is None:
            return
        for name in webhook.secrets:
            if name not in self._secrets:
                near = did_you_mean(name, self._secrets)
                message = f"{name} is not in allow.secrets{near}; add it there to permit it"
                yield Problem(message, path="auth.secret", code="capability")
        for method in sorted(webhook.methods):
            other = self._served.setdefault((method, webhook.path), path)
            if other != path:
                where = ".".join(map(str, other))
                message = f"{where} answers {method} {webhook.path} already; one of them is enough"
                yield Problem(message, path="path", code="duplicate")

    def _given(self, path: Path, inputs: Mapping[str, JSON]) -> None:
        declared = self._inputs
        for name, value in inputs.items():
            if name not in declared:
                message = f"the bot has no input {name!r}{did_you_mean(name, declared)}"
                self._tell.say((*path, name), message, "unknown-input", key=True)
            elif isinstance(schema := declared[name], Mapping) and not schema_findings(schema):
                found = Validator(schema, expressions=True).findings(value)
                self._tell.findings((*path, name), found)


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
