"""Settings of how long history is kept."""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from codex32_config.table import Table


class RetentionDays(Table):
    """Days by final status; None is for ever."""

    succeeded: NonNegativeFloat | None
    failed: NonNegativeFloat | None
    cancelled: NonNegativeFloat | None
    skipped: NonNegativeFloat | None


class RetentionSettings(Table):
    """How long history is kept."""

    days: RetentionDays
    keep_last: NonNegativeInt
    dead_letter_days: NonNegativeFloat | None
    interval_seconds: PositiveFloat
