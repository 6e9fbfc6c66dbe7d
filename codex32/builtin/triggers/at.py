"""Once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from codex32 import JSON, Problem, TriggerType
from codex32.builtin.triggers.zones import to_utc, zone_problems


class AtTrigger(TriggerType):
    """Fires once, at a moment."""

    name: ClassVar[str] = "at"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "description": "An ISO 8601 time; without an offset it is meant in `timezone`.",
        "examples": ["2027-01-01T09:00:00+01:00", "2027-01-01T09:00"],
    }

    def problems(self, config: JSON, timezone: str) -> Sequence[Problem]:
        """Texts that are no time, and unknown time zones."""
        faults = [*zone_problems(timezone)]
        try:
            year = datetime.fromisoformat(config).year
        except ValueError:
            message = f"{config!r} is no ISO 8601 time; write for example 2027-01-01T09:00:00Z"
            return [*faults, Problem(message, code="time")]
        if not 1970 <= year <= 9000:
            faults.append(Problem(f"{config!r} is no time of our days", code="time"))
        return faults

    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        """The moment itself, unless it has come."""
        moment = datetime.fromisoformat(config)
        if moment.tzinfo is None:
            moment = to_utc(moment, ZoneInfo(timezone))
        return moment.astimezone(UTC) if moment > after else None
