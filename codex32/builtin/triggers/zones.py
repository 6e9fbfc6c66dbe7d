"""Time zones: finding them by name, and times of day that a change of clocks leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from codex32 import Problem, did_you_mean


def zone_problems(name: str) -> Sequence[Problem]:
    """A problem where no time zone has this name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = did_you_mean(name, available_timezones())
        message = f"no time zone is called {name!r}{hint}; write an IANA name like Europe/Berlin"
        return [Problem(message, code="timezone")]
    return ()


def to_utc(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment (aware UTC) at which clocks in ``zone`` show ``local`` (naive).

    Of two such moments it is the first; where the clocks are put forward over ``local``, it is
    the first moment after the gap.
    """
    while True:
        moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None, fold=0) == local:
            return moment
        local = local.replace(second=0, microsecond=0) + timedelta(minutes=1)
