"""What this process has learned of models: how they cannot be asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from codex32.kernel.clock import Clock
from codex32.services.ai.structured import Rung

#: What a model may refuse: a rung of the ladder, or to be told a temperature.
Refused: TypeAlias = Rung | Literal["temperature"]
#: Services learn, too: after this long a higher rung is tried again (microseconds).
_KEPT = 3_600_000_000


class Memory:
    """What models refused; a few hundred entries at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: dict[tuple[str, Refused], int] = {}

    def left(self, deployment: str, rungs: Sequence[Rung]) -> list[Rung]:
        """The rungs that were not refused lately; never none."""
        left = [rung for rung in rungs if not self.refused(deployment, rung)]
        return left or list(rungs[-1:])

    def refused(self, deployment: str, what: Refused) -> bool:
        """Whether it was refused lately."""
        return self._refused.get((deployment, what), 0) + _KEPT >= self._clock.micros()

    def refuse(self, deployment: str, what: Refused) -> None:
        """Remember that it cannot be asked so."""
        if len(self._refused) > 1000:
            self._refused.clear()
        self._refused[deployment, what] = self._clock.micros()
