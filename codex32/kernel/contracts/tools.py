"""Tools: steps that a model asks for while an agent's step runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from codex32.kernel.errors import StepFault
from codex32.kernel.json_values import JSON

#: Pattern of a tool's name: what all services of models take.
TOOL_NAME: Final = "^[a-zA-Z][a-zA-Z0-9_-]{0,63}$"
#: The parameter of a bot type that uses tools: the engine compiles and guards what stands in it.
TOOLS_PARAM: Final[Mapping[str, Any]] = {
    "type": "array",
    "format": "tools",
    "maxItems": 64,
    "description": "What the model may ask for: steps, each of a bot type.",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["type"],
        "properties": {
            "name": {
                "type": "string",
                "pattern": TOOL_NAME,
                "description": "What the model calls it; allow.tools must name it.",
            },
            "description": {
                "type": "string",
                "maxLength": 2000,
                "description": "What it is for, in words for the model.",
            },
            "args": {
                "type": "object",
                "description": "What the model gives it: name to JSON Schema, like inputs; one "
                "without a default must be given. Left out where the bot type knows by itself: "
                "bot, mcp.",
            },
            "type": {"type": "string", "description": "The bot type that does it."},
            "with": {
                "type": "object",
                "description": "Its parameters, with expressions over args beside all others.",
            },
            "writes": {
                "type": "boolean",
                "description": "Whether it changes something, so that a person decides once "
                "untrusted text was read. Default: true, unless its bot type only reads.",
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool that a bot type offers by itself.

    Attributes:
      name: As ``TOOL_NAME`` has it.
      description: For the model.
      schema: JSON Schema of the arguments, an object.
      params: ``with`` of the step that does it.
      into: The parameter that receives the arguments.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    params: Mapping[str, JSON]
    into: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a tool: its output, or the error with which it failed or was not permitted.

    Attributes:
      foreign: Whether strangers may have had a hand in the output.
    """

    output: JSON = None
    error: str | None = None
    foreign: bool = False


class ToolRefused(StepFault):
    """A model asked for what is no tool, or with arguments that do not fit; nothing was done."""

    code = "tool-refused"
