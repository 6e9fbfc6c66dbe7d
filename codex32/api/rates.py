"""How often the API may be called: by each caller, or by the address of whoever is none yet.

Each process counts by itself, in memory, so that counting costs a request nothing that could be
measured; behind several processes a limit is that much wider.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from codex32.kernel.contracts.route import RateClass
from codex32.kernel.errors import Codex32Error

SECONDS = 60.0
#: Callers that are remembered; beyond it those are forgotten who have all their calls again.
_MANY = 10_000


class TooManyRequests(Codex32Error):
    """More was asked for than this caller may ask for; it is told when to come again."""

    code = "too-many-requests"

    def __init__(self, standing: Standing) -> None:
        super().__init__(f"at most {standing.limit} such requests a minute; come again later")
        self.retry_after_seconds = standing.reset_seconds
        self.standing = standing


@dataclass(frozen=True, slots=True)
class Standing:
    """What a caller has left.

    Attributes:
      limit: Calls a minute.
      remaining: Calls that could be made at once.
      reset_seconds: Until the next one may be made, or until all may be made again.
    """

    limit: int
    remaining: int
    reset_seconds: float

    def headers(self) -> dict[str, str]:
        """As clients are told."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(math.ceil(self.reset_seconds)),
        }


class Limiter:
    """Counts calls: a minute's worth may come at once, and then they come back one by one.

    Args:
      limits: Calls a minute of each class; None for any number.
      monotonic: Seconds that only go on.
    """

    def __init__(
        self,
        limits: Mapping[RateClass, int | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._monotonic = limits, monotonic
        #: When each would have all its calls again.
        self._full_at: dict[tuple[str, str], float] = {}

    def take(self, rate: RateClass, who: str) -> Standing | None:
        """Count a call; what is left, or None where any number may come.

        Raises:
          TooManyRequests: It is one too many.
        """
        limit = self._limits.get(rate)
        if limit is None:
            return None
        now, each = self._monotonic(), SECONDS / limit
        full_at = max(self._full_at.get((rate, who), now), now) + each
        over = full_at - now - SECONDS
        if over > 1e-9:
            raise TooManyRequests(Standing(limit, 0, over))
        self._full_at[rate, who] = full_at
        if len(self._full_at) > _MANY:
            self._forget(now)
        return Standing(limit, int((SECONDS - (full_at - now)) / each + 1e-9), full_at - now)

    def _forget(self, now: float) -> None:
        self._full_at = {who: at for who, at in self._full_at.items() if at > now}
        if len(self._full_at) > _MANY:  # a flood from everywhere must not become our memory
            self._full_at.clear()
