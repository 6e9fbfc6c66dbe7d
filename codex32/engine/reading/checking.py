"""Everything about a bot's definition that its structure does not show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from codex32.engine import expressions
from codex32.engine.expressions import OPEN, Scope, literal_params
from codex32.engine.reading.alert_checks import AlertChecks
from codex32.engine.reading.building import MAIN, Raw, output_of
from codex32.engine.reading.case_checks import CaseChecks
from codex32.engine.reading.document import Document, Path
from codex32.engine.reading.schema import ALERTS_ALONE, BOT_KEYS
from codex32.engine.reading.scopes import Scopes, output_of_step
from codex32.engine.reading.telling import Teller, validator_of
from codex32.engine.reading.tool_checks import ToolChecks, tool_names, tool_params
from codex32.engine.reading.trigger_checks import TriggerChecks
from codex32.engine.running.asking import form_faults
from codex32.engine.values.order import find_circle, upstream
from codex32.engine.values.validation import Validator, schema_findings
from codex32.kernel.bot import ALERT_NOTICES
from codex32.kernel.components import Components
from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.errors import CapabilityRefused, ComponentNotFound, ExpressionFault
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean, parse_duration

SECTIONS = ("steps", "on_failure", "finally")
#: Of a rate limit, in seconds.
_SHORTEST_PER, _LONGEST_PER = 0.01, 366 * 86400.0


class Check:
    """Checks one document whose wrongly built parts were taken out before.

    Args:
      document: Knows the places.
      value: The document's value without those parts.
    """

    def __init__(self, document: Document, value: Raw, components: Components) -> None:
        self._value, self._components = value, components
        self._written = document.value
        self._tell = Teller(document)
        inputs = {k: v for k, v in value.get("inputs", {}).items() if isinstance(v, Mapping)}
        self._steps = {section: [*self._section(section)] for section in SECTIONS}
        outputs = {
            raw["id"]: output_of_step(raw, components)
            for steps in self._steps.values()
            for _, raw in steps
            if "id" in raw
        }
        secrets = value.get("allow", {}).get("secrets", ())
        self._secrets = [each for each in secrets if isinstance(each, str)]
        self._scopes = Scopes(inputs, outputs, self._secrets)
        named = value.get("allow", {}).get("connections", ())
        self._connections = [each for each in named if isinstance(each, str)]
        tools = [each for each in value.get("allow", {}).get("tools", ()) if isinstance(each, str)]
        self._tools = ToolChecks(self._tell, components, tools, self._params)

    def problems(self) -> list[Problem]:
        """All of them; the order is the caller's to make."""
        if "steps" in self._value and "type" in self._value:
            self._tell.say(("type",), "write steps, or type and with, not both", key=True)
        elif not self._steps["steps"] and "steps" not in self._value and not self._alone:
            self._tell.say((), "a bot needs steps, or type and with", "missing")
        if self._value.get("name") == ALERT_NOTICES:
            message = f"{ALERT_NOTICES} is the house's own bot, which carries notices of alerts"
            self._tell.say(("name",), f"{message}; choose another name", "reserved")
        self._inputs()
        inputs = self._value.get("inputs", {})
        installed = self._components.trigger_types
        triggers = TriggerChecks(self._tell, installed, inputs, self._secrets)
        for index, raw in enumerate(self._value.get("triggers", ())):
            if isinstance(raw, Mapping):
                triggers.check(("triggers", index), raw)
        self._ids()
        for section in SECTIONS:
            self._order(section)
        self._bot_expressions()
        self._cases(inputs)
        alerts = AlertChecks(
            self._tell, self._components, self._scopes.secrets(), alone=self._alone
        )
        for index, raw in enumerate(self._value.get("alerts", ())):
            if isinstance(raw, Mapping):
                alerts.check(("alerts", index), raw, self._written["alerts"][index])
        return self._tell.problems

    @property
    def _alone(self) -> bool:
        """Whether it is a file of alerts: it says nothing of what could be executed."""
        said = self._written.keys() & BOT_KEYS.keys()
        return "alerts" in said and said <= ALERTS_ALONE

    def _section(self, section: str) -> Iterator[tuple[Path, Raw]]:
        if section == "steps" and "type" in self._value and "steps" not in self._value:
            yield (), {**self._value, "id": MAIN}
        for index, raw in enumerate(self._value.get(section, ())):
            if isinstance(raw, Mapping):
                yield (section, index), raw

    # inputs

    def _inputs(self) -> None:
        for name, schema in self._value.get("inputs", {}).items():
            path: Path = ("inputs", name)
            if not isinstance(schema, Mapping):
                continue
            faults = schema_findings(schema)
            if not faults and "default" in schema:
                path = (*path, "default")
                faults = Validator(schema).findings(schema["default"])
            self._tell.findings(path, faults)

    # steps

    def _ids(self) -> None:
        seen: dict[str, Path] = {}
        for steps in self._steps.values():
            for path, raw in steps:
                if (name := raw.get("id")) in seen:
                    where = expressions_path(seen[name])
                    self._tell.say(
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
            self._tell.say((*at, "needs"), f"the steps wait for one another: {' → '.join(circle)}")
        before = upstream(needs)
        for path, raw in steps:
            visible = before.get(raw.get("id", ""), frozenset(needs))
            self._step(section, path, raw, visible | self._done_before(section))

    def _needs(self, path: Path, raw: Raw, known: Mapping[str, Any]) -> None:
        for index, need in enumerate(raw.get("needs") or ()):
            if need is not None and need not in known:
                message = f"no step is called {need!r}{did_you_mean(need, known)}"
                self._tell.say((*path, index), message, "unknown-step")

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
            self._tell.condition((*path, "if"), raw, plain)
            self._rate((*path, "rate"), raw, inner)
        self._foreach((*path, "foreach"), raw.get("foreach"), plain)
        self._tell.expressions((*path, "idempotency_key"), raw.get("idempotency_key"), inner)
        if "type" not in raw:
            return
        params = self._scopes.step(visible, name, item=each, secrets=True, failure=failure)
        try:
            kind = self._components.bot_type(raw["type"])
        except ComponentNotFound as error:
            self._tell.say((*path, "type"), error.message, "not-installed")
            self._tell.expressions((*path, "with"), raw.get("with"), params)
            return
        if each and kind.single:
            self._tell.say(
                (*path, "foreach"),
                f"{kind.name} concerns the whole execution and cannot be done once an item",
                key=True,
            )
        self._params((*path, "with"), raw.get("with", {}), kind, params)

    def _rate(self, path: Path, raw: Raw, scope: Scope) -> None:
        rate = raw.get("rate") or {}
        self._tell.expressions((*path, "key"), rate.get("key"), scope)
        if "per" in rate and not _SHORTEST_PER <= parse_duration(rate["per"]) <= _LONGEST_PER:
            message = f"must be from 10ms to 366d, not {rate['per']}"
            self._tell.say((*path, "per"), message)
        if rate.get("key") == "":
            self._tell.say(
                (*path, "key"), "must not be empty; leave it out for a limit of its own"
            )

    def _foreach(self, path: Path, value: JSON, scope: Scope) -> None:
        self._tell.expressions(path, value, scope)
        if isinstance(value, str):
            try:
                parts = expressions.expressions_in(value)
            except ExpressionFault:
                return
            if len(parts) != 1:
                self._tell.say(
                    path, "foreach takes a list or one expression, with no text around it"
                )

    def _params(self, path: Path, params: Mapping[str, JSON], kind: BotType, scope: Scope) -> None:
        faults = validator_of(kind, "params_schema").findings(params)
        self._tell.findings(path, faults)
        literal = literal_params(kind)
        for key, value in params.items():
            if key not in literal:
                self._tell.expressions((*path, key), value, scope)
        for key in tool_params(kind):
            if isinstance(tools := params.get(key), list) and not faults:
                self._tools.check((*path, key), tools, scope)
        self._own(path, params, kind.params_schema)
        if not faults:
            self._tell.plugin(path, kind.name, lambda: kind.check(params))

    def _own(self, path: Path, value: JSON, schema: Any) -> None:
        """Values whose format the house knows: bare expressions, forms, names of other things."""
        if not isinstance(schema, Mapping):
            return
        match value, schema.get("format"):
            case str(text), "expression":
                scope = Scope({name: {} for name in schema.get("variables", ())}, alone=True)
                for fault in expressions.find_faults(text, scope):
                    self._tell.say(path, fault.message, "expression", offset=fault.offset)
            case str(name), "notifier" if OPEN not in name:
                try:
                    self._components.notifier(name)
                except ComponentNotFound as error:
                    self._tell.say(path, error.message, "not-installed")
            case str(name), "step" if OPEN not in name and name not in self._all_ids:
                known = did_you_mean(name, self._all_ids)
                self._tell.say(path, f"no step is called {name!r}{known}", "unknown-step")
            case str(name), "connection" if OPEN not in name and name not in self._connections:
                message = CapabilityRefused("connections", name).message
                known = did_you_mean(name, self._connections)
                self._tell.say(path, f"{message}{known}", "capability")
            case dict(), "form" if not expressions.holds_expression(value):
                for where, message in form_faults(value):
                    self._tell.say((*path, *where), message, "schema")
            case dict(), _:
                for key, each in value.items():
                    self._own((*path, key), each, schema.get("properties", {}).get(key))

    @property
    def _all_ids(self) -> list[str]:
        return [raw["id"] for steps in self._steps.values() for _, raw in steps if "id" in raw]

    # tests

    def _cases(self, inputs: Mapping[str, JSON]) -> None:
        tools = [
            f"{raw['id']}.{tool}"
            for steps in self._steps.values()
            for _, raw in steps
            if "id" in raw
            for tool in tool_names(raw, self._components)
        ]
        cases = CaseChecks(self._tell, self._all_ids, tools, inputs, self._components.bot_types)
        for index, raw in enumerate(self._value.get("tests", ())):
            if isinstance(raw, Mapping):
                cases.check(("tests", index), raw)

    # expressions

    def _bot_expressions(self) -> None:
        start = self._scopes.start()
        self._rate(("rate",), self._value, start)
        limits = self._value.get("concurrency") or {}
        self._tell.expressions(("concurrency", "key"), limits.get("key"), start)
        if "output" in self._value:
            done = frozenset(raw["id"] for _, raw in self._steps["steps"] if "id" in raw)
            self._tell.expressions(("output",), output_of(self._value), self._scopes.step(done))


def expressions_path(path: Path) -> str:
    """Where a step stands, for a message."""
    return ".".join(map(str, path)) or "the bot's own"
