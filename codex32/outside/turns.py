"""A bound on how many do something at once, fair to those who wait for different owners."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most ``limit`` inside, owner after owner; belongs to one event loop.

    One who asks a thousand times does not hold up another who asks once.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        #: Who waits, by owner; the first owner is next.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Inside the block it is the caller's turn."""
        await self._enter(owner)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, owner: str) -> None:
        if self._free > 0:  # then nobody waits
            self._free -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # let in and cancelled in one breath
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            owner = next(iter(self._waiting))
            queue = self._waiting.pop(owner)
            let_in = None
            while queue and let_in is None:
                first = queue.popleft()
                let_in = None if first.done() else first
            if queue:
                self._waiting[owner] = queue  # behind all other owners
            if let_in is not None:
                let_in.set_result(None)
                return
        self._free += 1
