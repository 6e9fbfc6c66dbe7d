"""Settings of the builder, which makes bots of descriptions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from codex32_config.table import Table


class BuilderSettings(Table):
    """Building bots."""

    model: Annotated[str, Field(pattern=r"^[^:\s]+:\S+$")] | None
    fallback: list[str]
    budget_usd: NonNegativeFloat
    seconds: PositiveFloat
    at_once: Annotated[int, Field(ge=1, le=100)]
    rounds: Annotated[int, Field(ge=1, le=10)]
    kill_share: Annotated[float, Field(ge=0.6, le=1)]
    keep_days: PositiveFloat | None
