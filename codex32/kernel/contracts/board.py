"""A few words that processes share for a while, and may lose."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence


class Board(ABC):
    """Small texts under keys, each for a limited time; nothing on it is the truth of anything.

    Every method answers within a fraction of a second, if need be from this process alone.
    """

    @abstractmethod
    async def read(self, keys: Sequence[str]) -> Sequence[str | None]:
        """What stands under each key."""

    @abstractmethod
    async def write(self, key: str, text: str, *, seconds: float) -> None:
        """Put ``text`` there for so long."""

    @abstractmethod
    async def claim(self, key: str, text: str, *, seconds: float) -> bool:
        """Put ``text`` there if nothing is; whether this caller did."""

    @abstractmethod
    async def count(self, key: str, *, seconds: float) -> int:
        """Count one more under ``key``; the first begins the time after which all is forgotten."""

    @abstractmethod
    async def wipe(self, keys: Sequence[str]) -> None:
        """Forget what stands there."""

    async def close(self) -> None:
        """Let go of connections, if there are any."""
        return


class LocalBoard(Board):
    """The board of one process.

    Args:
      monotonic: Seconds that only ever grow.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._texts: dict[str, tuple[str, float]] = {}

    async def read(self, keys: Sequence[str]) -> Sequence[str | None]:
        """What stands under each key."""
        return [self._get(key) for key in keys]

    async def write(self, key: str, text: str, *, seconds: float) -> None:
        """Put ``text`` there for so long."""
        self._texts[key] = (text, self._now() + seconds)

    async def claim(self, key: str, text: str, *, seconds: float) -> bool:
        """Put ``text`` there if nothing is."""
        if self._get(key) is not None:
            return False
        await self.write(key, text, seconds=seconds)
        return True

    async def count(self, key: str, *, seconds: float) -> int:
        """Count one more."""
        there = self._get(key)
        until = self._texts[key][1] if there is not None else self._now() + seconds
        number = int(there or 0) + 1
        self._texts[key] = (str(number), until)
        return number

    async def wipe(self, keys: Sequence[str]) -> None:
        """Forget what stands there."""
        for key in keys:
            self._texts.pop(key, None)

    def _get(self, key: str) -> str | None:
        found = self._texts.get(key)
        if found is None:
            return None
        if found[1] <= self._now():
            del self._texts[key]
            return None
        return found[0]
