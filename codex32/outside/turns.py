"""A bound on how many do something at once, fair to those who wait for different owners."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most ``limit`` inside, owner after owner; belongs to one event loop.

    One who asks a thousand times does not hold up another who asks once: owners are let in by
    turns, and a quarter of the places is out of reach for any single one, however long it stays.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._share = limit, limit - limit // 4
        self._inside: Counter[str] = Counter()
        #: Who waits, by owner; the first owner is next.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Inside the block it is the caller's turn."""
        await self._enter(owner)
        try:
            yield
        finally:
            self._leave(owner)

    async def _enter(self, owner: str) -> None:
        if self._may_enter(owner):
            self._inside[owner] += 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # let in and cancelled in one breath
                self._leave(owner)
            raise

    def _may_enter(self, owner: str) -> bool:
        return self._inside.total() < self._limit and self._inside[owner] < self._share

    def _leave(self, owner: str) -> None:
        self._inside[owner] -= 1
        if not self._inside[owner]:
            del self._inside[owner]
        for waiting in list(self._waiting):
            if self._may_enter(waiting):
                self._let_in(waiting)

    def _let_in(self, owner: str) -> None:
        queue = self._waiting.pop(owner)
        while queue:
            first = queue.popleft()
            if not first.done():
                self._inside[owner] += 1
                first.set_result(None)
                break
        if queue:
            self._waiting[owner] = queue  # behind all other owners
