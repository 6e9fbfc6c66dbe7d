"""How often the API may be called: by an account with all its keys, by strangers from an address.

Each process counts in memory, so that counting costs a request nothing that could be measured, and
soon after tells the others, see :mod:`codex32.api.sharing`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from multidict import istr

from codex32.kernel.contracts.call_book import Calls
from codex32.kernel.contracts.route import RateClass
from codex32.kernel.errors import Codex32Error

SECONDS = 60.0
#: Callers that are remembered; beyond it those are forgotten who have all their calls again.
_MANY = 10_000
_NONE = (0, 0.0)
# Names whose case was folded already; each answer has them.
_LIMIT, _REMAINING, _RESET = map(
    istr, ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
)


class TooManyRequests(Codex32Error):
    """More was asked for than this caller may ask for; it is told when to come again."""

    code = "too-many-requests"

    def __init__(self, standing: Standing) -> None:
        super().__init__(f"at most {standing.limit} such requests a minute; come again later")
        self.retry_after_seconds = standing.reset_seconds
        self.standing = standing


class Standing(NamedTuple):
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
            _LIMIT: str(self.limit),
            _REMAINING: str(self.remaining),
            _RESET: str(math.ceil(self.reset_seconds)),
        }


class Limiter:
    """Counts calls: a minute's worth may come at once, and then they come back one by one.

    Args:
      limits: Calls a minute of each class; None for any number.
      monotonic: Seconds that only go on.

    Attributes:
      counted: Set while there are calls that others have not been told of.
    """

    def __init__(
        self,
        limits: Mapping[RateClass, int | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._monotonic = limits, monotonic
        #: When each would have all its calls again.
        self._full_at: dict[str, float] = {}
        #: Calls that others have not been told of, and how long one takes to come back.
        self._unwritten: dict[str, tuple[int, float]] = {}
        self.counted = asyncio.Event()

    def take(self, rate: RateClass, who: str) -> Standing | None:
        """Count a call; what is left, or None where any number may come.

        Raises:
          TooManyRequests: It is one too many.
        """
        limit = self._limits.get(rate)
        if limit is None:
            return None
        now, each, name = self._monotonic(), SECONDS / limit, f"{rate} {who}"
        full_at = max(self._full_at.get(name, now), now) + each
        over = full_at - now - SECONDS
        if over > 1e-9:
            raise TooManyRequests(Standing(limit, 0, over))
        self._full_at[name] = full_at
        self._unwritten[name] = (self._unwritten.get(name, _NONE)[0] + 1, each)
        self.counted.set()
        if len(self._full_at) > _MANY:
            self._forget(now)
        return Standing(limit, int((SECONDS - (full_at - now)) / each + 1e-9), full_at - now)

    def unwritten(self) -> list[Calls]:
        """Calls since the last time that this was asked."""
        calls = [Calls(who, *counted) for who, counted in self._unwritten.items()]
        self._unwritten = {}
        self.counted.clear()
        return calls

    def learn(self, calls: Sequence[Calls], left: Sequence[float]) -> None:
        """Take over what all processes counted together.

        Args:
          calls: As :meth:`unwritten` gave them.
          left: Seconds until each caller has all calls again; what came since is not among it.
        """
        now = self._monotonic()
        for each, seconds in zip(calls, left, strict=True):
            since, _ = self._unwritten.get(each.who, _NONE)
            full_at = now + seconds + since * each.each_seconds
            self._full_at[each.who] = max(self._full_at.get(each.who, 0.0), full_at)

    def _forget(self, now: float) -> None:
        self._full_at = {who: at for who, at in self._full_at.items() if at > now}
        if len(self._full_at) > _MANY:  # a flood from everywhere must not become our memory
            self._full_at.clear()
            self._unwritten.clear()
