"""Timers that hardly ever run out, for the price of an entry in a mapping.

Every execution has a time limit, and every try is shown as running if it takes long; nearly all
are over within milliseconds. A timer of the event loop for each, made and taken back, would be a
tenth of what the engine spends on an execution. Here one timer looks after all young ones, and
only what lives longer than ``YOUNG_SECONDS`` gets one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: As young as this a deadline stands in the common queue.
YOUNG_SECONDS = 0.2


class Deadline:
    """Something that is done at a time, unless it is taken back before."""

    __slots__ = ("_among", "_own", "due", "grown", "work")

    def __init__(
        self, among: Deadlines, now: float, seconds: float, work: Callable[[], None]
    ) -> None:
        self._among = among
        #: Its own timer, once it is not young any more.
        self._own: asyncio.TimerHandle | None = None
        self.grown, self.due, self.work = now + YOUNG_SECONDS, now + seconds, work

    def cancel(self) -> None:
        """Take it back; nothing happens where it is over already."""
        self._among.young.pop(self, None)
        if self._own is not None:
            self._own.cancel()

    def alone(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait with a timer of its own from now on."""
        self._own = loop.call_at(self.due, self.work)


class Deadlines:
    """The deadlines of one event loop.

    Attributes:
      young: Those that are younger than ``YOUNG_SECONDS``, the oldest first.
    """

    def __init__(self) -> None:
        self.young: dict[Deadline, None] = {}
        self._looking = False

    def call_later(self, seconds: float, work: Callable[[], None]) -> Deadline:
        """Have ``work()`` called on the running event loop in ``seconds``."""
        loop = asyncio.get_running_loop()
        deadline = Deadline(self, loop.time(), seconds, work)
        if seconds < YOUNG_SECONDS:
            deadline.alone(loop)
            return deadline
        self.young[deadline] = None
        if not self._looking:
            self._look(loop)
        return deadline

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give timers to those that are no longer young; look again when the next one is not."""
        now = loop.time()
        while self.young:
            oldest = next(iter(self.young))
            if oldest.grown > now:
                break
            del self.young[oldest]
            oldest.alone(loop)
        self._looking = bool(self.young)
        if self._looking:
            loop.call_at(oldest.grown, self._look, loop)
