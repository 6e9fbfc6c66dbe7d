"""What waits for one listener of a stream: bounded, so that a slow one costs no memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

#: What may wait for one listener.
MOST_WAITING = 2000
MOST_CHARACTERS = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Told:
    """Something a stream tells: its kind, its data as JSON text, and the position after it."""

    kind: str
    data: str
    id: str = ""

    @property
    def size(self) -> int:
        """About as many characters as it takes in memory."""
        return len(self.data) + 100


#: What a stream tells, several things at once where there are several.
Telling: TypeAlias = AsyncGenerator[Sequence[Told], None]


class Mailbox:
    """What one listener has not taken yet. Belongs to one event loop.

    Attributes:
      joined: Its listener is up to date, but for what waits here.
      full: There was too much; what came afterwards is not here.
      ended: Nothing more will come.
    """

    def __init__(self) -> None:
        self._waiting: list[Told] = []
        self._characters = 0
        self._news = asyncio.Event()
        self.joined = False
        self.full = False
        self.ended = False

    def put(self, told: Sequence[Told], characters: int) -> None:
        """Add what is told, of so many characters; nothing is taken in once there is too much."""
        if self.full or self.ended or not told:
            return
        self._waiting.extend(told)
        self._characters += characters
        self.full = len(self._waiting) > MOST_WAITING or self._characters > MOST_CHARACTERS
        self._news.set()

    def end(self) -> None:
        """Say that nothing more will come."""
        self.ended = True
        self._news.set()

    async def all(self) -> AsyncIterator[Sequence[Told]]:
        """All that comes, as much at once as there is, until it has ended or was full."""
        while True:
            if self._waiting:
                waiting, self._waiting, self._characters = self._waiting, [], 0
                yield waiting
            elif self.ended or self.full:
                return
            else:
                self._news.clear()
                await self._news.wait()
