"""What this process has learned of models: on which rung of the ladder they can be asked."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.kernel.clock import Clock
from codex32.services.ai.structured import Rung

#: Services learn, too: after this long a higher rung is tried again (microseconds).
_KEPT = 3_600_000_000


class Memory:
    """Which rungs models refused; a few hundred entries at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: dict[tuple[str, Rung], int] = {}

    def left(self, deployment: str, rungs: Sequence[Rung]) -> list[Rung]:
        """The rungs that were not refused lately; never none."""
        now = self._clock.micros()
        left = [r for r in rungs if self._refused.get((deployment, r), 0) + _KEPT < now]
        return left or list(rungs[-1:])

    def refuse(self, deployment: str, rung: Rung) -> None:
        """Remember that it cannot be asked so."""
        if len(self._refused) > 1000:
            self._refused.clear()
        self._refused[deployment, rung] = self._clock.micros()
