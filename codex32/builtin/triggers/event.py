"""What happened inside the house, or was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from codex32 import JSON, Problem, TriggerType, event_pattern_fault


class EventTrigger(TriggerType):
    """Answers events by name, or by a pattern of names."""

    name: ClassVar[str] = "event"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "minLength": 1,
        "description": "The event's name, or a pattern of names; `if` sees it as trigger.event.",
        "examples": ["execution.failed", "execution.*", "custom.order.paid"],
    }
    timed: ClassVar[bool] = False

    def problems(self, config: JSON, timezone: str) -> Sequence[Problem]:
        """Names that no event has, and patterns that fit none."""
        fault = event_pattern_fault(config)
        return [Problem(fault, code="event")] if fault else ()

    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        """Never: it has no times."""
        return None

    def event_pattern(self, config: JSON) -> str | None:
        """What stands in the file."""
        return str(config)
