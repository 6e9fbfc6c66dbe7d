"""US dollars as people write them, and nano-dollars as they are counted."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

#: In a dollar.
NANO = 1_000_000_000


def nano(usd: float | Decimal) -> int:
    """Dollars in whole nano-dollars, rounded up."""
    exact = usd if isinstance(usd, Decimal) else Decimal(repr(usd))
    return int((exact * NANO).to_integral_value(ROUND_CEILING))


def usd(nano_usd: int) -> float:
    """Nano-dollars in dollars."""
    return nano_usd / NANO


def shown(nano_usd: int) -> str:
    """An amount for people: cents, or as many places as it takes to tell it from nothing."""
    places = 2 if nano_usd >= NANO // 100 or nano_usd == 0 else 6
    return f"{nano_usd / NANO:.{places}f} USD"
