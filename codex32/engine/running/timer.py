"""The time limit of one try of a step."""

from __future__ import annotations

import asyncio


class Timer:
    """A limit that stands still while a try waits for something that the house is short of."""

    def __init__(self, limit_seconds: float | None) -> None:
        self.timeout = asyncio.timeout(limit_seconds)
        self._pauses = 0
        self._left = 0.0

    @property
    def left(self) -> float | None:
        """Seconds until the limit, at least 0; None where there is none, or it stands still."""
        when = self.timeout.when()
        return None if when is None else max(when - asyncio.get_running_loop().time(), 0.0)

    def pause(self) -> None:
        """Stand still; once for each :meth:`resume` that follows."""
        self._pauses += 1
        when = self.timeout.when()
        if self._pauses == 1 and when is not None and not self.timeout.expired():
            self._left = when - asyncio.get_running_loop().time()
            self.timeout.reschedule(None)

    def resume(self) -> None:
        """Go on, when nobody pauses any more."""
        self._pauses -= 1
        limited = self._left > 0 and self.timeout.when() is None
        if self._pauses == 0 and limited and not self.timeout.expired():
            self.timeout.reschedule(asyncio.get_running_loop().time() + self._left)
