"""Answers that are kept for a moment: whoever asks often costs the database nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """An answer that serves all who ask within a while; of those who come together, one looks.

    Args:
      seconds: How long it serves.
      look: Makes it.
    """

    def __init__(self, seconds: float, look: Callable[[], Awaitable[T]]) -> None:
        self._seconds, self._look = seconds, look
        self._looking = asyncio.Lock()
        self._seen: tuple[float, T] | None = None

    async def get(self) -> T:
        """The answer, at most ``seconds`` old."""
        async with self._looking:
            if self._seen is None or time.monotonic() - self._seen[0] >= self._seconds:
                answer = await self._look()
                self._seen = time.monotonic(), answer
            return self._seen[1]
