"""Everything about a bot's definition that its structure does not show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from codex32.engine import expressions
from codex32.engine.building import MAIN, Raw, output_of
from codex32.engine.document import Document, Path
from codex32.engine.expressions import OPEN, Part, Scope, literal_params
from codex32.engine.order import find_circle, upstream
from codex32.engine.schema import TRIGGER_KEYS
from codex32.engine.scopes import Scopes, output_of_step
from codex32.engine.validation import Validator, schema_findings
from codex32.kernel.components import Components
from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.errors import ComponentNotFound, ExpressionFault
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean

SECTIONS = ("steps", "on_failure", "finally")


@lru_cache(maxsize=512)
def _validator(component: Any, attribute: str) -> Validator:
    """The validator of a component's schema: a bot type's lets expressions through."""
    schema, expressions_fit = getattr(component, attribute), attribute == "params_schema"
    return Validator(schema, trusted=True, expressions=expressions_fit)


class Check:
    """Checks one document whose wrongly built parts were taken out before.

    Args:
      document: Knows the places.
      value: The document's value without those parts.
    """

    def __init__(self, document: Document, value: Raw, components: Components) -> None:
        self._document, self._value, self._components = document, value, components
        self._problems: list[Problem] = []
        inputs = {k: v for k, v in value.get("inputs", {}).items() if isinstance(v, Mapping)}
        self._steps = {section: [*self._section(section)] for section in SECTIONS}
        outputs = {
            raw["id"]: output_of_step(raw, components)
            for steps in self._steps.values()
            for _, raw in steps
            if "id" in raw
        }
        secrets = value.get("allow", {}).get("secrets", ())
        self._scopes = Scopes(inputs, outputs, [each for each in secrets if isinstance(each, str)])

    def problems(self) -> list[Problem]:
        """All of them; the order is the caller's to make."""
        if "steps" in self._value and "type" in self._value:
            self._say(("type",), "write steps, or type and with, not both", key=True)
        elif not self._steps["steps"] and "steps" not in self._value:
            self._say((), "a bot needs steps, or type and with", "missing")
        self._inputs()
        for index, raw in enumerate(self._value.get("triggers", ())):
            if isinstance(raw, Mapping):
                self._trigger(("triggers", index), raw)
        self._ids()
        for section in SECTIONS:
            self._order(section)
        self._bot_expressions()
        return self._problems

    def _say(self, path: Path, message: str, code: str = "invalid", **place: Any) -> None:
        self._problems.append(self._document.problem(path, message, code, **place))

    def _section(self, section: str) -> Iterator[tuple[Path, Raw]]:
        if section == "steps" and "type" in self._value and "steps" not in self._value:
            yield (), {**self._value, "id": MAIN}
        for index, raw in enumerate(self._value.get(section, ())):
            if isinstance(raw, Mapping):
                yield (section, index), raw

    # inputs and triggers

    def _inputs(self) -> None:
        for name, schema in self._value.get("inputs", {}).items():
            path: Path = ("inputs", name)
            if not isinstance(schema, Mapping):
                continue
            faults = schema_findings(schema)
            if not faults and "default" in schema:
                path = (*path, "default")
                faults = Validator(schema).findings(schema["default"])
            for each in faults:
                self._say((*path, *each.path), each.message, each.code, key=each.key)

    def _trigger(self, path: Path, raw: Raw) -> None:
        kinds = [key for key in raw if key not in TRIGGER_KEYS]
        installed = self._components.trigger_types
        known = [kind for kind in kinds if kind in installed]
        for kind in kinds:
            if kind not in installed:
                self._unknown_kind(path, kind, bool(known))
        if len(known) > 1:
            both = " and ".join(known)
            self._say(path, f"one kind a trigger, not {both}; write a trigger for each")
        if not kinds:
            self._say(path, f"a trigger needs a kind: {', '.join(sorted(installed))}", "missing")
        if len(known) == 1:
            self._trigger_config((*path, known[0]), known[0], raw)
        scope = self._scopes.trigger()
        self._condition((*path, "if"), raw, scope)
        for key in ("dedupe", "inputs"):
            self._expressions((*path, key), raw.get(key), scope)
        self._trigger_inputs((*path, "inputs"), raw.get("inputs", {}))

    def _unknown_kind(self, path: Path, kind: str, is_key: bool) -> None:
        installed = self._components.trigger_types
        if is_key:
            near, names = did_you_mean(kind, TRIGGER_KEYS), ", ".join(TRIGGER_KEYS)
            message = f"unknown key {kind!r}{near}; beside the kind there may be: {names}"
            self._say((*path, kind), message, "unknown-key", key=True)
            return
        near = did_you_mean(kind, [*installed, *TRIGGER_KEYS])
        there = ", ".join(sorted(installed)) or "none"
        message = f"no trigger type is called {kind!r}{near}; installed: {there}"
        self._say((*path, kind), message, "not-installed", key=True)

    def _trigger_config(self, path: Path, kind: str, raw: Raw) -> None:
        component = self._components.trigger_types[kind]
        faults = _validator(component, "config_schema").findings(raw[kind])
        for each in faults:
            self._say((*path, *each.path), each.message, each.code, key=each.key)
        if not faults:
            zone = raw.get("timezone", "UTC")
            if _is_zone(zone):
                self._plugin(path, kind, lambda: component.problems(raw[kind], zone))
            else:
                near = did_you_mean(zone, available_timezones())
                message = f"no time zone is called {zone!r}{near}; write one like Europe/Berlin"
                self._say((*path[:-1], "timezone"), message, "timezone")

    def _trigger_inputs(self, path: Path, inputs: Mapping[str, JSON]) -> None:
        declared = self._value.get("inputs", {})
        for name, value in inputs.items():
            if name not in declared:
                message = f"the bot has no input {name!r}{did_you_mean(name, declared)}"
                self._say((*path, name), message, "unknown-input", key=True)
            elif isinstance(schema := declared[name], Mapping) and not schema_findings(schema):
                for each in Validator(schema, expressions=True).findings(value):
                    self._say((*path, name, *each.path), each.message, each.code, key=each.key)

    # steps

    def _ids(self) -> None:
        seen: dict[str, Path] = {}
        for steps in self._steps.values():
            for path, raw in steps:
                if (name := raw.get("id")) in seen:
                    where = expressions_path(seen[name])
                    self._say(
                        (*path, "id"), f"two steps are called {name!r}; the other is {where}"
                    )
                elif name is not None:
                    seen[name] = path

    def _order(self, section: str) -> None:
        steps = self._steps[section]
        needs: dict[str, list[str]] = {}
        above: str | None = None
        for _, raw in steps:
            if (name := raw.get("id")) is None:
                continue
            written = raw.get("needs", [above])
            needs[name] = [each for each in written if each is not None]
            above = name
        for path, raw in steps:
            self._needs((*path, "needs"), raw, needs)
        circle = find_circle(needs)
        if circle:
            at = next(path for path, raw in steps if raw.get("id") == circle[0])
            self._say((*at, "needs"), f"the steps wait for one another: {' → '.join(circle)}")
        before = upstream(needs)
        for path, raw in steps:
            visible = before.get(raw.get("id", ""), frozenset(needs))
            self._step(section, path, raw, visible | self._done_before(section))

    def _needs(self, path: Path, raw: Raw, known: Mapping[str, Any]) -> None:
        for index, need in enumerate(raw.get("needs") or ()):
            if need is not None and need not in known:
                message = f"no step is called {need!r}{did_you_mean(need, known)}"
                self._say((*path, index), message, "unknown-step")

    def _done_before(self, section: str) -> frozenset[str]:
        """Steps of the sections that come before this one."""
        earlier = SECTIONS[: SECTIONS.index(section)]
        return frozenset(
            raw["id"] for each in earlier for _, raw in self._steps[each] if "id" in raw
        )

    def _step(self, section: str, path: Path, raw: Raw, visible: frozenset[str]) -> None:
        name, failure = raw.get("id", ""), section == "on_failure"
        plain = self._scopes.step(visible, name, failure=failure)
        each = "foreach" in raw
        inner = self._scopes.step(visible, name, item=each, failure=failure)
        if path:
            # At the top of a bot without steps these keys are the bot's.
            self._condition((*path, "if"), raw, plain)
            self._expressions((*path, "rate", "key"), (raw.get("rate") or {}).get("key"), inner)
        self._foreach((*path, "foreach"), raw.get("foreach"), plain)
        self._expressions((*path, "idempotency_key"), raw.get("idempotency_key"), inner)
        if "type" not in raw:
            return
        params = self._scopes.step(visible, name, item=each, secrets=True, failure=failure)
        try:
            kind = self._components.bot_type(raw["type"])
        except ComponentNotFound as error:
            self._say((*path, "type"), error.message, "not-installed")
            self._expressions((*path, "with"), raw.get("with"), params)
            return
        if each and kind.single:
            self._say(
                (*path, "foreach"),
                f"{kind.name} concerns the whole execution and cannot be done once an item",
                key=True,
            )
        self._params((*path, "with"), raw.get("with", {}), kind, params)

    def _foreach(self, path: Path, value: JSON, scope: Scope) -> None:
        self._expressions(path, value, scope)
        if isinstance(value, str):
            try:
                parts = expressions.expressions_in(value)
            except ExpressionFault:
                return
            if len(parts) != 1:
                self._say(path, "foreach takes a list or one expression, with no text around it")

    def _params(self, path: Path, params: Mapping[str, JSON], kind: BotType, scope: Scope) -> None:
        faults = _validator(kind, "params_schema").findings(params)
        for each in faults:
            self._say((*path, *each.path), each.message, each.code, key=each.key)
        literal = literal_params(kind)
        for key, value in params.items():
            if key not in literal:
                self._expressions((*path, key), value, scope)
        self._own(path, params, kind.params_schema)
        if not faults:
            self._plugin(path, kind.name, lambda: kind.check(params))

    def _own(self, path: Path, value: JSON, schema: Any) -> None:
        """Values whose format the house knows: bare expressions, names of notifiers."""
        if not isinstance(schema, Mapping):
            return
        match value, schema.get("format"):
            case str(text), "expression":
                scope = Scope({name: {} for name in schema.get("variables", ())}, alone=True)
                for fault in expressions.find_faults(text, scope):
                    self._say(path, fault.message, "expression", offset=fault.offset)
            case str(name), "notifier" if OPEN not in name:
                try:
                    self._components.notifier(name)
                except ComponentNotFound as error:
                    self._say(path, error.message, "not-installed")
            case dict(), _:
                for key, each in value.items():
                    self._own((*path, key), each, schema.get("properties", {}).get(key))

    def _plugin(self, path: Path, name: str, ask: Any) -> None:
        """Ask a plugin for problems; one that fails is itself the problem."""
        try:
            told = list(ask())
        except Exception as error:
            self._say(
                path, f"{name} could not check this: {type(error).__name__}: {error}", "plugin"
            )
            return
        for each in told:
            below = tuple(int(p) if p.isdigit() else p for p in each.path.split(".") if p)
            self._say((*path, *below), each.message, each.code)

    # expressions

    def _bot_expressions(self) -> None:
        start = self._scopes.start()
        for key in ("concurrency", "rate"):
            self._expressions((key, "key"), (self._value.get(key) or {}).get("key"), start)
        if "output" in self._value:
            done = frozenset(raw["id"] for _, raw in self._steps["steps"] if "id" in raw)
            self._expressions(("output",), output_of(self._value), self._scopes.step(done))

    def _condition(self, path: Path, raw: Raw, scope: Scope) -> None:
        text = raw.get("if")
        if not isinstance(text, str):
            return
        try:
            inner = expressions.bare(text)
        except ExpressionFault as fault:
            self._say(path, fault.message, "expression")
            return
        start = text.index(inner) if inner else 0
        for each in expressions.condition_faults(inner, scope):
            self._say(path, each.message, "expression", offset=start + each.offset)

    def _expressions(self, path: Path, value: JSON, scope: Scope) -> None:
        if isinstance(value, str):
            if OPEN in value:
                self._text(path, value, scope)
        elif isinstance(value, Mapping):
            for key, each in value.items():
                if OPEN in key:
                    message = "a key is no place for expressions; only values are evaluated"
                    self._say((*path, key), message, "expression", key=True)
                self._expressions((*path, key), each, scope)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                self._expressions((*path, index), each, scope)

    def _text(self, path: Path, text: str, scope: Scope) -> None:
        try:
            parts = expressions.expressions_in(text)
        except ExpressionFault as fault:
            self._say(path, fault.message, "expression", offset=text.rindex(OPEN))
            return
        for part in parts:
            if isinstance(part, Part):
                for each in expressions.find_faults(part.text, scope):
                    self._say(path, each.message, "expression", offset=part.offset + each.offset)


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def expressions_path(path: Path) -> str:
    """Where a step stands, for a message."""
    return ".".join(map(str, path)) or "the bot's own"
