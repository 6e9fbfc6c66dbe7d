"""One at a time: who changes a collection holds it, and what dies lets go of it by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from codex32.kernel.clock import Clock
from codex32.kernel.database import Door
from codex32.kernel.errors import StepFault
from codex32.kernel.ids import new_id
from codex32.kernel.retrieval_rows import CollectionRow
from codex32.kernel.vector_errors import CollectionNotFound
from codex32.services.retrieval.keeping import Collection

#: Longer than the longest pause between two renewals, which is one batch of an embedder.
LEASE_SECONDS = 90.0
_RENEW_SECONDS = 20.0
_ASK_SECONDS = 0.5


class CollectionBusy(StepFault):
    """Somebody else changes the collection."""

    code = "collection-busy"
    retryable_by_default = True

    def __init__(self, name: str, holder: str, seconds: float) -> None:
        super().__init__(
            f"the collection {name!r} is being changed by {holder}; try again",
            retry_after_seconds=seconds,
        )
        self.name, self.holder = name, holder


class Hold:
    """A collection that is held; see :func:`held`.

    Attributes:
      lost: Somebody else took it, since this process was away for too long.
    """

    def __init__(self, door: Door, clock: Clock, collection: Collection, holder: str) -> None:
        self._door, self._clock = door, clock
        self._collection, self._holder = collection, holder
        self.lost = False

    def check(self) -> None:
        """Refuse to go on where it was lost; inside a write, with what it writes.

        Raises:
          CollectionBusy: It was.
        """
        if not _take(self._collection.id, self._holder, self._clock.micros()):
            self.lost = True
            raise CollectionBusy(self._collection.name, "somebody else", LEASE_SECONDS)

    async def keep(self) -> None:
        """Renew it until cancelled."""
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            await self._door.write(self._renew)

    def _renew(self) -> None:
        _take(self._collection.id, self._holder, self._clock.micros())


@asynccontextmanager
async def held(
    door: Door, clock: Clock, collection: Collection, holder: str, wait_seconds: float
) -> AsyncIterator[Hold]:
    """Hold a collection as ``holder``; who holds it already is waited for.

    Raises:
      CollectionBusy: It did not become free in time.
    """
    me = f"{holder} {new_id('hld')}"
    loop = asyncio.get_running_loop()
    ends = loop.time() + wait_seconds
    while not await door.write(lambda: _take(collection.id, me, clock.micros())):
        if loop.time() >= ends:
            there = await door.read(_holder, collection)
            raise CollectionBusy(collection.name, there, LEASE_SECONDS)
        await asyncio.sleep(_ASK_SECONDS)
    hold = Hold(door, clock, collection, me)
    keeping = asyncio.create_task(hold.keep())
    try:
        yield hold
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await asyncio.shield(door.write(lambda: _release(collection.id, me)))


def _take(collection_id: str, me: str, now: int) -> bool:
    row = CollectionRow
    free = row.holder.is_null() | (row.holder == me) | (row.held_until < now)
    taken = row.update(holder=me, held_until=now + int(LEASE_SECONDS * 1e6))
    return bool(taken.where((row.id == collection_id) & free).execute())


def _release(collection_id: str, me: str) -> None:
    row = CollectionRow
    mine = (row.id == collection_id) & (row.holder == me)
    row.update(holder=None, held_until=None).where(mine).execute()


def _holder(collection: Collection) -> str:
    row = CollectionRow.get_or_none(CollectionRow.id == collection.id)
    if row is None:
        raise CollectionNotFound(collection.name)
    return (row.holder or "somebody else").partition(" hld_")[0]
