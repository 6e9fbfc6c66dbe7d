"""The tools of a step, made ready to be done as parts of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from codex32.engine.expressions import Template
from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.contracts.tools import Offer
from codex32.kernel.json_values import JSON
from codex32.kernel.outcomes import Effect

if TYPE_CHECKING:
    from codex32.engine.running.plan import PlannedStep


@dataclass(frozen=True, slots=True)
class PlannedTool:
    """An entry of ``tools``: one tool, or all those that its bot type offers.

    Attributes:
      name: Empty where the bot type says it.
      args: Name to JSON Schema; None where the bot type says what it takes.
      writes: Whether it changes something.
      foreign: Whether its output may hold text of strangers.
      step: What does it, under the name of the step that uses it.
    """

    name: str
    description: str
    args: Mapping[str, Mapping[str, Any]] | None
    writes: bool
    foreign: bool
    step: PlannedStep

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        return schema_of(self.args or {})

    def offered(self, offer: Offer, arguments: Mapping[str, JSON]) -> PlannedStep:
        """The step that does an offered tool with these arguments."""
        return with_params(self.step, {**offer.params, offer.into: dict(arguments)})


def schema_of(args: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """JSON Schema of arguments by name; those without a default must be given."""
    return {
        "type": "object",
        "properties": {name: dict(schema) for name, schema in args.items()},
        "required": [name for name, schema in args.items() if "default" not in schema],
        "additionalProperties": False,
    }


def with_params(planned: PlannedStep, params: Mapping[str, JSON]) -> PlannedStep:
    """``planned`` with values that are data: nothing in them is read as an expression.

    They come from a model or from outside, so they are checked as evaluated ones are.
    """
    return replace(planned, params=Template(lambda _: params), packed_params=None)


def writes(said: bool | None, kind: BotType, params: Mapping[str, JSON]) -> bool:
    """Whether a tool changes something: as its author says, else unless its type only reads."""
    if said is not None:
        return said
    return not kind.only_reads or kind.effect(params) is not Effect.NONE
