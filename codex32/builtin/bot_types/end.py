"""The end of an execution before its last step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from codex32 import JSON, Allow, BotType, Ended, Outcome, StepContext


class EndBotType(BotType):
    """Ends the execution where it stands; usually under an ``if``."""

    name: ClassVar[str] = "end"
    summary: ClassVar[str] = "End the execution here."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "status": {
                "enum": ["succeeded", "failed", "skipped"],
                "default": "succeeded",
                "description": "How the execution ends.",
            },
            "message": {"type": "string", "description": "Why, for people."},
            "output": {"description": "The execution's output."},
        },
    }
    single: ClassVar[bool] = True

    def foreign(self, params: Mapping[str, JSON], allow: Allow) -> bool:
        """It adds nothing to what it is given."""
        return False

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """End with what was given."""
        return Ended(
            params.get("status", "succeeded"), params.get("message", ""), params.get("output")
        )
