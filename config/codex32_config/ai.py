"""The settings of models: what they may cost, what they do cost, how they are called."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from codex32_config.table import Table


class PriceSettings(Table):
    """The price of a model, in US dollars for a million tokens."""

    free: bool = False
    input_usd: NonNegativeFloat | None = None
    output_usd: NonNegativeFloat = 0.0
    cached_input_usd: NonNegativeFloat | None = None
    cache_write_usd: NonNegativeFloat | None = None

    @model_validator(mode="after")
    def _either(self) -> PriceSettings:
        if self.free == (self.input_usd is not None):
            raise ValueError("write input_usd (and output_usd), or free: true")
        return self


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("write the IANA name of a time zone, such as Europe/Berlin") from None
    return name


class BudgetSettings(Table):
    """What models may cost."""

    month_usd: NonNegativeFloat | None
    day_usd: NonNegativeFloat | None
    workspace_month_usd: NonNegativeFloat | None
    workspace_day_usd: NonNegativeFloat | None
    timezone: Annotated[str, AfterValidator(_zone)]


class AiSettings(Table):
    """Calling models."""

    budget: BudgetSettings
    prices: dict[str, PriceSettings]
    unknown_price: Literal["refuse", "worst_case"]
    call_seconds: PositiveFloat
    max_tokens: PositiveInt
    repairs: Annotated[int, Field(ge=0, le=5)]
    keep_days: PositiveFloat | None
