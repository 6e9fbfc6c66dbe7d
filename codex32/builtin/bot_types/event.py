"""Telling others of something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from codex32 import (
    JSON,
    Allow,
    BotType,
    Outcome,
    Problem,
    Publication,
    StepContext,
    Succeeded,
    event_name_fault,
)


class EventBotType(BotType):
    """Publishes an event, which other bots may answer."""

    name: ClassVar[str] = "event"
    summary: ClassVar[str] = "Publish an event that other bots answer or wait for."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": {
                "type": "string",
                "description": "Of the event: custom. and a name of yours.",
                "examples": ["custom.order.paid"],
            },
            "data": {"description": "Any value; listeners see it as trigger.event.data."},
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {"id": {"type": "string"}},
        "required": ["id"],
    }

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """A name under which nobody may publish."""
        name = params["name"]
        fault = "" if "${{" in name else event_name_fault(name)
        return [Problem(fault, path="name", code="event")] if fault else ()

    def foreign(self, params: Mapping[str, JSON], allow: Allow) -> bool:
        """It adds nothing to what it is given."""
        return False

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Leave the event to the engine, which writes it with the step's record."""
        event = Publication(params["name"], params.get("data"))
        return Succeeded({"id": event.id}, events=[event])
