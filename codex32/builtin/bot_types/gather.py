"""Gathering things that shall go out together."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from codex32 import (
    JSON,
    BotType,
    Clock,
    Outcome,
    Problem,
    StepContext,
    StepFault,
    Succeeded,
    SystemClock,
    Waiting,
    parse_duration,
)
from codex32.builtin.triggers.zones import to_utc, zone_problems

_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS = re.compile(f"({_TIME})-({_TIME})")


class GatherBotType(BotType):
    """Waits until it is time, and hands what many executions brought to one of them."""

    name: ClassVar[str] = "gather"
    summary: ClassVar[str] = (
        "Gather items of many executions, and hand all to one of them: digests, quiet hours."
    )
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "description": "What this execution brings."},
            "key": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "description": "What belongs together, over all bots that name it; the step alone "
                "if absent.",
            },
            "window": {
                "type": "string",
                "format": "duration",
                "description": "How long to wait for more, from the first on.",
            },
            "quiet": {
                "type": "string",
                "description": "Hours in which nothing is handed out, but all at their end.",
                "examples": ["22:00-07:00"],
            },
            "timezone": {
                "type": "string",
                "default": "UTC",
                "description": "Where the quiet hours are; an IANA name.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"type": "array"}

    def __init__(self, clock: Clock = SystemClock.shared) -> None:
        self._clock = clock

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """Something to wait for, hours that are hours, and a zone that there is."""
        faults = []
        if not params.keys() & {"window", "quiet"}:
            faults.append(Problem("needs `window`, `quiet` or both", code="missing"))
        quiet, zone = params.get("quiet", "${{"), params.get("timezone", "${{")
        if "${{" not in quiet and _hours(quiet) is None:
            faults.append(Problem(_no_hours(quiet), path="quiet", code="hours"))
        if "${{" not in zone:
            faults += [
                Problem(each.message, path="timezone", code=each.code)
                for each in zone_problems(zone)
            ]
        return faults

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Leave the items; called again at their time, hand out what there is for this one."""
        if not params["items"]:
            return Succeeded([])
        # Off the loop: a zone is read from its file when it is first asked for.
        due_at = await asyncio.to_thread(self._due_at, params)
        gathered = await context.gather(params["items"], key=params.get("key", ""), due_at=due_at)
        if gathered.items is None:
            return Waiting(until=gathered.due_at)
        return Succeeded(list(gathered.items))

    def _due_at(self, params: Mapping[str, JSON]) -> datetime:
        due_at = self._clock.now()
        if "window" in params:
            due_at += timedelta(seconds=parse_duration(params["window"]))
        if "quiet" not in params:
            return due_at
        hours = _hours(params["quiet"])
        if hours is None:
            raise StepFault(_no_hours(params["quiet"]), code="hours")
        zone = params.get("timezone", "UTC")
        for fault in zone_problems(zone):
            raise StepFault(fault.message, code="timezone")
        return _after(hours, due_at, ZoneInfo(zone))


def _hours(text: str) -> tuple[str, str] | None:
    found = _HOURS.fullmatch(text)
    return (found[1], found[2]) if found and found[1] != found[2] else None


def _no_hours(text: str) -> str:
    return f"{text!r} is no span of hours; write for example 22:00-07:00"


def _after(hours: tuple[str, str], moment: datetime, zone: ZoneInfo) -> datetime:
    """``moment``, or the end of the quiet hours in which it lies (aware UTC)."""
    begin, end = hours
    local = moment.astimezone(zone)
    clock = f"{local:%H:%M}"
    over_night = begin > end
    quiet = (clock >= begin or clock < end) if over_night else begin <= clock < end
    if not quiet:
        return moment.astimezone(UTC)
    day = local.date() + timedelta(days=over_night and clock >= begin)
    return to_utc(datetime.fromisoformat(f"{day}T{end}"), zone)
