"""What expressions may name, at each place of a bot file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codex32.engine.cel.checks import Schema, Scope
from codex32.engine.reading.building import Raw
from codex32.engine.reading.schema_parts import closed
from codex32.kernel.components import Components

_TEXT: Schema = {"type": "string"}
_TYPES = ("string", "integer", "boolean")
_BOT = closed({"name": _TEXT, "version": {}})
_EXECUTION = closed({"id": _TEXT, "attempt": {}, "started_at": _TEXT})
_FAILURE = closed({"step": {}, "cause": _TEXT, "message": _TEXT})


class Scopes:
    """The scopes of one bot.

    Args:
      inputs: Input schemas by name.
      outputs: What is known of each step's output, by step id; all sections.
      secrets: The names in ``allow.secrets``.
    """

    def __init__(
        self, inputs: Mapping[str, Schema], outputs: Mapping[str, Schema], secrets: Sequence[str]
    ) -> None:
        self._outputs = outputs
        self._secrets = {
            **closed(dict.fromkeys(secrets, _TEXT)),
            "remedy": "name it in allow.secrets to permit it",
        }
        self._common = {
            "inputs": closed(inputs),
            "trigger": {},
            "bot": _BOT,
            "execution": _EXECUTION,
            "state": {},
        }
        self._types = frozenset(
            (f"inputs.{name}", kind) for name, schema in inputs.items() if (kind := _kind(schema))
        )

    @staticmethod
    def trigger() -> Scope:
        """Where a trigger decides: there is no execution yet."""
        return Scope({"trigger": {}, "bot": _BOT})

    def start(self) -> Scope:
        """Where an execution begins: inputs are known and no step is done."""
        return Scope({key: self._common[key] for key in ("inputs", "trigger", "bot")}, self._types)

    def secrets(self) -> Scope:
        """Where no execution is, and secrets alone may be used."""
        return Scope({"secrets": self._secrets})

    def step(
        self,
        visible: Iterable[str],
        step: str = "",
        *,
        item: bool = False,
        secrets: bool = False,
        failure: bool = False,
    ) -> Scope:
        """Inside a step, or the bot's output.

        Args:
          visible: Steps that are done by then.
          step: The step's id, for what is said of steps that are not.
          item: ``foreach`` gives an item.
          secrets: Secrets may be used.
          failure: The execution failed.
        """
        roots: dict[str, Schema] = {**self._common, "steps": self._steps(frozenset(visible), step)}
        if item:
            roots |= {"item": {}, "index": {"type": "integer"}}
        if secrets:
            roots["secrets"] = self._secrets
        if failure:
            roots["failure"] = _FAILURE
        return Scope(roots, self._types)

    def _steps(self, visible: frozenset[str], step: str) -> Schema:
        there = {each: schema for each, schema in self._outputs.items() if each in visible}
        elsewhere = {
            each: f"step {each!r} is not upstream of {step!r}; add it to needs"
            if each != step
            else f"step {each!r} cannot use its own output"
            for each in self._outputs
            if each not in visible
        }
        shapes = {
            each: closed({"output": schema, "status": _TEXT, "error": {}})
            for each, schema in there.items()
        }
        return {**closed(shapes), "elsewhere": elsewhere}


def output_of_step(raw: Raw, components: Components) -> Schema:
    """What the schema of its bot type tells of a step's output."""
    kind = components.bot_types.get(raw.get("type", ""))
    schema: Schema = kind.output_schema if kind else {}
    if "foreach" not in raw:
        return schema
    # Collected faults stand among the outputs.
    return {"type": "array", "items": {} if raw.get("on_item_error") == "collect" else schema}


def _kind(schema: Mapping[str, Any]) -> str | None:
    """The CEL type of values of ``schema``; None where it is not one alone."""
    kind = schema.get("type")
    if kind in _TYPES:
        return str(kind)
    items = schema.get("items")
    if kind == "array" and isinstance(items, Mapping) and items.get("type") in _TYPES:
        return f"list:{items['type']}"
    return None
