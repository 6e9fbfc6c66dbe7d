"""The time, handed in so that no test has to wait for it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import ClassVar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


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


class SystemClock(Clock):
    """The machine's clock."""

    #: One object is enough.
    shared: ClassVar[SystemClock]

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        return datetime.now(UTC)

    def micros(self) -> int:
        """The present moment as rows store it, without making a datetime of it."""
        return time.time_ns() // 1000


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
