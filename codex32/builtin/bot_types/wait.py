"""Waiting without holding a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from codex32 import (
    JSON,
    BotType,
    Clock,
    Failed,
    Outcome,
    Problem,
    StepContext,
    Succeeded,
    SystemClock,
    Waiting,
    parse_duration,
)


class WaitBotType(BotType):
    """Waits for some time, or until a moment."""

    name: ClassVar[str] = "wait"
    summary: ClassVar[str] = "Wait for some time or until a moment, without holding a worker."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "for": {"type": "string", "format": "duration", "description": "How long to wait."},
            "until": {
                "type": "string",
                "description": "When to go on: an ISO 8601 time with an offset or Z.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"type": "null"}

    def __init__(self, clock: Clock = SystemClock.shared) -> None:
        self._clock = clock

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """One of the two, and a time that can be read."""
        if ("for" in params) == ("until" in params):
            return [Problem("needs exactly one of `for` and `until`", code="missing")]
        until = params.get("until", "${{")
        if "${{" not in until and _moment(until) is None:
            return [Problem(_not_a_moment(until), path="until", code="time")]
        return ()

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Wait once; called again afterwards, succeed."""
        if context.waited is not None:
            return Succeeded()
        if "for" in params:
            seconds = parse_duration(params["for"])
            return Waiting(until=self._clock.now() + timedelta(seconds=seconds))
        moment = _moment(params["until"])
        if moment is None:
            return Failed(_not_a_moment(params["until"]), code="time")
        return Waiting(until=moment) if moment > self._clock.now() else Succeeded()


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _not_a_moment(text: str) -> str:
    return f"{text!r} is no ISO 8601 time with an offset; write for example 2027-01-01T09:00:00Z"
