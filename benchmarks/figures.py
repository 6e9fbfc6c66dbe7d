"""From samples to figures: percentiles, and ratios of what ran in the same round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of the same thing: the middle one, and how far they lie apart."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, samples: Iterable[float]) -> Spread:
        """The spread of at least one sample."""
        found = sorted(samples)
        return cls(median(found), found[0], found[-1])

    def as_dict(self) -> dict[str, float]:
        """For JSON, to four digits."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least ``percent`` of all samples do not exceed.

    Raises:
      ValueError: There are no samples.
    """
    if not samples:
        raise ValueError("no percentile without samples")
    rank = ceil(len(samples) * percent / 100)
    return sorted(samples)[max(rank, 1) - 1]


def ratios(rounds: Sequence[Mapping[str, float]], bare: Mapping[str, str]) -> dict[str, Spread]:
    """How often as fast as its bare slot each slot was, compared within its round alone.

    The machine's mood changes from minute to minute, so rates of different rounds say nothing
    about each other.

    Args:
      rounds: Rates by slot, a mapping a round.
      bare: For each slot the one it is held against; a round that lacks either is passed over.
    """
    found: dict[str, Spread] = {}
    for slot, against in bare.items():
        both = [rates for rates in rounds if slot in rates and against in rates]
        if both:
            found[slot] = Spread.of(rates[slot] / rates[against] for rates in both)
    return found


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
