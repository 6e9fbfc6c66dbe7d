"""A steady beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from codex32 import JSON, Problem, TriggerType, parse_duration

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SECONDS = 366 * 86400.0


class EveryTrigger(TriggerType):
    """Fires at whole multiples of a duration since 1970 UTC, whenever processes start."""

    name: ClassVar[str] = "every"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "format": "duration",
        "description": "The time between two occurrences, from 1s to 366d.",
        "examples": ["30s", "5m", "6h"],
    }

    def problems(self, config: JSON, timezone: str) -> Sequence[Problem]:
        """Durations that are none, too short or too long."""
        try:
            seconds = parse_duration(config)
        except ValueError as error:
            return [Problem(str(error), code="duration")]
        if 1 <= seconds <= _LONGEST_SECONDS:
            return ()
        return [Problem(f"{config!r} must be between 1s and 366d", code="duration")]

    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        """The next multiple later than ``after``."""
        beat = timedelta(seconds=parse_duration(config))
        return _EPOCH + ((after - _EPOCH) // beat + 1) * beat
