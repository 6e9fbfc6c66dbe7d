"""One at a time: who changes a collection holds it, and what dies lets go of it by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import peewee as pw

from codex32.kernel.clock import Clock
from codex32.kernel.database import Door
from codex32.kernel.errors import StepFault
from codex32.kernel.ids import new_id
from codex32.kernel.retrieval_rows import CollectionRow
from codex32.kernel.vector_errors import CollectionNotFound
from codex32.services.retrieval.keeping import Collection
from codex32.services.retrieval.progress import MARK, Progress

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
      progress: Shown to others from the next :meth:`check` or renewal on.
    """

    def __init__(self, door: Door, clock: Clock, collection: Collection, holder: str) -> None:
        self._door, self._clock = door, clock
        self._collection, self._holder = collection, holder
        self.lost = False
        self.progress: Progress | None = None

    def check(self) -> None:
        """Refuse to go on where it was lost; inside a write, with what it writes.

        Raises:
          CollectionBusy: It was.
          StepFault: It was deleted.
        """
        if not self._renew():
            self.lost = True
            if CollectionRow.get_or_none(CollectionRow.id == self._collection.id) is None:
                told = f"the collection {self._collection.name!r} was deleted meanwhile"
                raise StepFault(told, code=CollectionNotFound.code)
            raise CollectionBusy(self._collection.name, "somebody else", LEASE_SECONDS)

    async def keep(self) -> None:
        """Renew it until cancelled."""
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            await self._door.write(self._renew)

    def _renew(self) -> bool:
        # Who was away for so long that another held it has lost it, even if it is free again.
        mine = CollectionRow.holder == self._holder
        now = self._clock.micros()
        return _hold(self._collection.id, self._holder, now, mine, self.progress)


@asynccontextmanager
async def held(
    door: Door,
    clock: Clock,
    collection: Collection,
    holder: str,
    wait_seconds: float,
    *,
    heir: bool = False,
    on_wait: Callable[[str, int], None] | None = None,
) -> AsyncIterator[Hold]:
    """Hold a collection as ``holder``; who holds it already is waited for.

    Args:
      door: To the rows.
      clock: Tells when a hold is over.
      collection: What is held.
      holder: For others to read.
      wait_seconds: How long somebody else is waited for.
      heir: There is one ``holder`` at a time, so that whoever holds it under this name is dead,
        or has lost what it worked for.
      on_wait: Told whom is waited for, and for how many seconds by now.

    Raises:
      CollectionBusy: It did not become free in time.
    """
    me = f"{holder} {new_id('hld')}"
    before = f"{holder}{MARK}" if heir else None
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not await door.write(lambda: _take(collection.id, me, clock.micros(), before)):
        there, waited = await door.read(_holder, collection), loop.time() - began
        if waited >= wait_seconds:
            raise CollectionBusy(collection.name, there, LEASE_SECONDS)
        if on_wait is not None:
            on_wait(there, int(waited))
        await asyncio.sleep(_ASK_SECONDS)
    hold = Hold(door, clock, collection, me)
    keeping = asyncio.create_task(hold.keep())
    try:
        yield hold
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await asyncio.shield(door.write(lambda: _release(collection.id, me)))


def _take(collection_id: str, me: str, now: int, before: str | None) -> bool:
    row = CollectionRow
    free = row.holder.is_null() | (row.holder == me) | (row.held_until < now)
    if before is not None:
        free |= pw.fn.SUBSTR(row.holder, 1, len(before)) == before
    return _hold(collection_id, me, now, free, None)


def _hold(
    collection_id: str, me: str, now: int, where: pw.Expression, progress: Progress | None
) -> bool:
    row = CollectionRow
    taken = row.update(
        holder=me,
        held_until=now + int(LEASE_SECONDS * 1e6),
        progress=None if progress is None else progress.packed(),
    )
    return bool(taken.where((row.id == collection_id) & where).execute())


def _release(collection_id: str, me: str) -> None:
    row = CollectionRow
    mine = (row.id == collection_id) & (row.holder == me)
    row.update(holder=None, held_until=None, progress=None).where(mine).execute()


def _holder(collection: Collection) -> str:
    row = CollectionRow.get_or_none(CollectionRow.id == collection.id)
    if row is None:
        raise CollectionNotFound(collection.name)
    return (row.holder or "somebody else").partition(MARK)[0]
