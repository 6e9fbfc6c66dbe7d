"""The time, handed in so that no test has to wait for it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import ClassVar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Goes on while the machine sleeps, where there is such a clock.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC, as rows store times. The datetime must be aware."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The aware UTC datetime of a stored time."""
    return _EPOCH + timedelta(microseconds=value)


class Clock(ABC):
    """Tells the time."""

    @abstractmethod
    def now(self) -> datetime:
        """The present moment, aware, UTC."""

    def micros(self) -> int:
        """The present moment as rows store it."""
        return to_micros(self.now())

    def steady(self) -> int:
        """Microseconds to measure by: only differences mean something, and only in one process."""
        return self.micros()


def steady_micros() -> int:
    """Microseconds on a scale that no change of the machine's clock moves."""
    return time.clock_gettime_ns(_STEADY) // 1000


class SystemClock(Clock):
    """The machine's clock, or that of a database which the process follows."""

    #: One object is enough.
    shared: ClassVar[SystemClock]

    def __init__(self) -> None:
        #: What ticks (nanoseconds), and what is added to it (microseconds): changed together.
        self._rule: tuple[Callable[[], int], int] = (time.time_ns, 0)

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        return from_micros(self.micros())

    def micros(self) -> int:
        """The present moment as rows store it, without making a datetime of it."""
        tick, offset = self._rule
        return tick() // 1000 + offset

    def steady(self) -> int:
        """Microseconds to measure by, which no change of a clock moves."""
        return steady_micros()

    def follow(self, told: int, asked: int) -> None:
        """Go by somebody else's clock from now on: it said ``told`` when it was ``asked``.

        Until it is asked again the time goes on steadily, whatever becomes of the machine's own
        clock.

        Args:
          told: Microseconds since 1970.
          asked: The :func:`steady_micros` of that moment.
        """
        self._rule = (_steady_ns, told - asked)

    def shift_from(self, path: str) -> None:
        """For tests: the machine's clock is wrong by as many seconds as the file says just now."""

        def wrong() -> int:
            with open(path) as file:
                return time.time_ns() + int(float(file.read() or 0) * 1e9)

        self._rule = (wrong, 0)


def _steady_ns() -> int:
    return time.clock_gettime_ns(_STEADY)


SystemClock.shared = SystemClock()


class ManualClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Where the hand stands."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the hand by ``seconds``, which may be negative."""
        self._now += timedelta(seconds=seconds)

    def set(self, moment: datetime) -> None:
        """Move the hand to ``moment``."""
        self._now = moment.astimezone(UTC)
