"""Values for later steps, and for later executions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from codex32 import JSON, Allow, BotType, Outcome, StepContext, Succeeded


class SetBotType(BotType):
    """Hands on values and writes the bot's state."""

    name: ClassVar[str] = "set"
    summary: ClassVar[str] = "Hand on values, and write the bot's state."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "values": {
                "type": "object",
                "description": "Names and values; they are the step's output.",
            },
            "state": {
                "type": "object",
                "description": "Entries written into the bot's state, together with the step; "
                "null removes one. Entries that are not named stay.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"type": "object"}

    def foreign(self, params: Mapping[str, JSON], allow: Allow) -> bool:
        """It adds nothing to what it is given."""
        return False

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Succeed with what was given."""
        return Succeeded(params.get("values", {}), state=params.get("state", {}))
