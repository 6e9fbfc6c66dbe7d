"""Checking the tools of an agent: each is a step, beside what a model is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from codex32.engine.expressions import Scope
from codex32.engine.reading.building import Raw
from codex32.engine.reading.document import Path
from codex32.engine.reading.schema_parts import closed
from codex32.engine.reading.telling import Teller
from codex32.engine.running.asking import form_faults
from codex32.kernel.components import Components
from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.errors import ComponentNotFound

#: Checks ``with`` at a path, of a bot type, in a scope.
Params = Callable[[Path, Raw, BotType, Scope], None]


def tool_names(step: Raw, components: Components) -> list[str]:
    """The names of a step's tools, as far as its file tells them."""
    kind = components.bot_types.get(step.get("type", ""))
    given = step.get("with")
    if kind is None or not isinstance(given, Mapping):
        return []
    lists = [given.get(name) for name in tool_params(kind)]
    entries = [each for some in lists if isinstance(some, list) for each in some]
    return [str(each["name"]) for each in entries if isinstance(each, Mapping) and "name" in each]


def tool_params(kind: BotType) -> list[str]:
    """The parameters of a bot type that hold tools."""
    properties = kind.params_schema.get("properties", {})
    return [name for name, schema in properties.items() if schema.get("format") == "tools"]


class ToolChecks:
    """Checks the tools of one bot.

    Args:
      tell: Where faults are told.
      components: What is installed.
      allowed: The patterns of ``allow.tools``.
      params: Checks the parameters of what does a tool.
    """

    def __init__(
        self, tell: Teller, components: Components, allowed: Sequence[str], params: Params
    ) -> None:
        self._tell, self._components = tell, components
        self._allowed, self._params = allowed, params

    def check(self, path: Path, tools: Sequence[object], scope: Scope) -> None:
        """Check tools whose structure is sound, in the scope of the step that uses them."""
        seen: set[str] = set()
        for index, raw in enumerate(tools):
            if isinstance(raw, Mapping):
                self._tool((*path, index), raw, scope, seen)

    def _tool(self, path: Path, raw: Raw, scope: Scope, seen: set[str]) -> None:
        name, args = raw.get("name"), raw.get("args")
        if name is not None:
            if name in seen:
                self._tell.say((*path, "name"), f"two tools are called {name!r}")
            seen.add(name)
            if not any(_may_fit(name, args, pattern) for pattern in self._allowed):
                message = f"{name} is not in allow.tools; add it there to permit it"
                self._tell.say((*path, "name"), message, "capability")
        try:
            kind = self._components.bot_type(raw["type"])
        except ComponentNotFound as error:
            self._tell.say((*path, "type"), error.message, "not-installed")
            return
        if why := _unusable(kind):
            self._tell.say((*path, "type"), why)
            return
        if args is None:
            if type(kind).offers is BotType.offers:
                message = f"a tool of the type {kind.name} needs args: name to JSON Schema"
                self._tell.say(path, message, "missing")
            self._tell.expressions((*path, "with"), raw.get("with"), scope)
            return
        for key in ("name", "description"):
            if key not in raw:
                self._tell.say(path, f"a tool with args needs a {key}, for the model", "missing")
        for where, message in form_faults(args):
            self._tell.say((*path, "args", *where), message, "schema")
        known = {key: each for key, each in args.items() if isinstance(each, Mapping)}
        inner = replace(scope, roots={**scope.roots, "args": closed(known)})
        self._params((*path, "with"), raw.get("with", {}), kind, inner)


def _may_fit(name: str, args: object, pattern: str) -> bool:
    """Whether a pattern permits a tool, or where its bot type offers several, one of them."""
    if fnmatchcase(name, pattern):
        return True
    stem = f"{name}_"
    return args is None and (pattern.startswith(stem) or fnmatchcase(stem, pattern))


def _unusable(kind: BotType) -> str | None:
    if kind.single:
        return f"{kind.name} concerns the whole execution and is no tool"
    if tool_params(kind):
        return f"{kind.name} has tools itself; make it a bot, and take that for a tool"
    if kind.inlined_files:
        return f"{kind.name} holds code; make it a bot, and take that for a tool"
    return None
