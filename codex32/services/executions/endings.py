"""Waiting for executions to end: one query for all that somebody in this process waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from codex32.kernel.batches import one_of
from codex32.kernel.database import Door, fetch
from codex32.kernel.models import ExecutionRow

log = logging.getLogger(__name__)

#: Between two looks; a bot of a few steps takes about as long.
PAUSE_SECONDS = 0.05


class Endings:
    """Tells when executions end; belongs to one event loop."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def ended(self, execution_id: str, seconds: float) -> bool:
        """Whether the execution ends within so many seconds, or has ended already."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.setdefault(execution_id, set()).add(future)
        if self._looking is None or self._looking.done():
            self._looking = loop.create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return False
        finally:
            self._leave(execution_id, future)
        return True

    def _leave(self, execution_id: str, future: asyncio.Future[None]) -> None:
        others = self._waiting.get(execution_id, set())
        others.discard(future)
        if not others:
            self._waiting.pop(execution_id, None)

    async def _look(self) -> None:
        while self._waiting:
            try:
                over = await self._door.read(_over, list(self._waiting))
            except Exception as error:  # whoever waits is told by the clock
                log.warning("whether executions have ended cannot be asked: %s", error)
                over = []
            for execution_id in over:
                for future in self._waiting.get(execution_id, ()):
                    if not future.done():
                        future.set_result(None)
            await asyncio.sleep(PAUSE_SECONDS)


def _over(ids: Iterable[str]) -> list[str]:
    ended = one_of(ExecutionRow.id, ids) & ExecutionRow.finished_at.is_null(False)
    return [row[0] for row in fetch(ExecutionRow.select(ExecutionRow.id).where(ended))]
