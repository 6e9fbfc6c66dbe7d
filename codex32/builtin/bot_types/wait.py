"""Waiting without holding a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from codex32 import (
    JSON,
    Allow,
    BotType,
    Clock,
    EventAwaited,
    Failed,
    Outcome,
    Problem,
    StepContext,
    Succeeded,
    SystemClock,
    Waiting,
    event_pattern_fault,
    parse_duration,
)


class WaitBotType(BotType):
    """Waits for some time, until a moment, or for an event."""

    name: ClassVar[str] = "wait"
    summary: ClassVar[str] = (
        "Wait for some time, until a moment or for an event, without holding a worker."
    )
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "for": {
                "type": "string",
                "format": "duration",
                "description": "How long to wait; with event, at most.",
            },
            "until": {
                "type": "string",
                "description": "When to go on: an ISO 8601 time with an offset or Z; with event, "
                "at the latest.",
            },
            "event": {
                "type": "string",
                "minLength": 1,
                "description": "The event to wait for: a name, or a pattern of names.",
                "examples": ["custom.order.paid", "execution.*"],
            },
            "if": {
                "type": "string",
                "format": "expression",
                "variables": ["event", "values"],
                "description": "Which events are meant; others are passed over.",
                "examples": ["event.data.order == values.order"],
            },
            "values": {"type": "object", "description": "What if compares the event with."},
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"type": ["object", "null"]}

    def __init__(self, clock: Clock = SystemClock.shared) -> None:
        self._clock = clock

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """One way to wait, a time that can be read, and an event that there is."""
        faults = []
        ends = [each for each in ("for", "until") if each in params]
        if len(ends) > 1:
            faults.append(Problem("takes one of `for` and `until`, not both", code="missing"))
        if "event" not in params:
            if not ends:
                message = "needs one of `for`, `until` and `event`"
                faults.append(Problem(message, code="missing"))
            faults += [
                Problem(f"`{each}` is about an event; write `event`, too", path=each)
                for each in ("if", "values")
                if each in params
            ]
        until, event = params.get("until", "${{"), params.get("event", "${{")
        if "${{" not in until and _moment(until) is None:
            faults.append(Problem(_not_a_moment(until), path="until", code="time"))
        if "${{" not in event and (fault := event_pattern_fault(event)):
            faults.append(Problem(fault, path="event", code="event"))
        return faults

    def foreign(self, params: Mapping[str, JSON], allow: Allow) -> bool:
        """Anybody may have caused an event."""
        return "event" in params

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Wait once; called again afterwards, succeed with the event that came, if one did."""
        if context.waited is not None:
            return Succeeded(context.waited.answer)
        moment = None
        if "for" in params:
            moment = self._clock.now() + timedelta(seconds=parse_duration(params["for"]))
        elif "until" in params:
            moment = _moment(params["until"])
            if moment is None:
                return Failed(_not_a_moment(params["until"]), code="time")
            if moment <= self._clock.now():
                return Succeeded()
        if "event" not in params:
            return Waiting(until=moment)
        pattern = params["event"]
        if fault := event_pattern_fault(pattern):
            return Failed(fault, code="event")
        awaited = EventAwaited(pattern, params.get("if"), params.get("values", {}))
        return Waiting(until=moment, event=awaited)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _not_a_moment(text: str) -> str:
    return f"{text!r} is no ISO 8601 time with an offset; write for example 2027-01-01T09:00:00Z"
