"""Times of day and calendar days, in the five fields of cron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from codex32 import JSON, Problem, TriggerType, did_you_mean
from codex32.builtin.triggers.zones import zone_problems

_NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class CronTrigger(TriggerType):
    """Fires when the clocks of a time zone match five cron fields.

    Where the clocks change, a fixed time that does not exist fires once right after the gap and
    one that exists twice fires once; rules whose minute or hour is a star go on in real time.
    """

    name: ClassVar[str] = "cron"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "description": "Minute, hour, day of month, month and day of week, or a name: "
        f"{', '.join(_NAMES)}.",
        "examples": ["0 8 * * 1-5", "*/15 * * * *", "@daily"],
    }

    def problems(self, config: JSON, timezone: str) -> Sequence[Problem]:
        """Fields that are none, days that never come, unknown time zones."""
        faults = [*zone_problems(timezone)]
        if message := _fault(config):
            faults.append(Problem(message, code="cron"))
        return faults

    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        """The next match later than ``after``."""
        local = after.astimezone(ZoneInfo(timezone))
        # In an hour that exists twice the library starts from the first; what it then finds
        # may lie before ``after``.
        for moment in CronSim(_fields(config), local):
            found = moment.astimezone(UTC)
            if found > after:
                return found
        return None


def _fields(text: str) -> str:
    return _NAMES.get(text.strip().lower(), text)


def _fault(text: str) -> str:
    if text.strip().startswith("@") and _fields(text) == text:
        return f"{text!r} is no cron name{did_you_mean(text, _NAMES)}; known: {', '.join(_NAMES)}"
    count = len(_fields(text).split())
    if count != 5:
        hint = "; seconds cannot be given, use `every`" if count == 6 else ""
        return (
            f"{text!r} has {count} field(s); "
            f"cron takes five: minute hour day-of-month month day-of-week{hint}"
        )
    try:
        CronSim(_fields(text), datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        place = str(error).removeprefix("Bad ")
        return f"{text!r} never fires or cannot be read: look at its {place}"
    return ""
