"""What the rows say, carried to the vector store; and what the store holds, held to the rows.

The store is an index. A record that is written twice or deleted twice is as if once, so whatever
was cut off is simply done again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import peewee as pw

from codex32.kernel.batches import one_of
from codex32.kernel.caller import Caller
from codex32.kernel.components import Components
from codex32.kernel.contracts.vector_store import VectorRecord, VectorStore
from codex32.kernel.database import Door, fetch
from codex32.kernel.errors import Codex32Error
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.retrieval_rows import ChunkRow, DocumentRow, EmbeddingRow, GoneRow
from codex32.kernel.vector_errors import CollectionNotFound
from codex32.services.retrieval import keeping, spaces
from codex32.services.retrieval.keeping import Collection

log = logging.getLogger(__name__)

PAGE = 500
#: Of a store that counts what was written some seconds later, how long that is waited for.
_PATIENCE_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True, slots=True)
class Index:
    """A collection's place in a vector store, and the space of its vectors."""

    collection_id: str
    store: str
    name: str
    fingerprint: str
    dimension: int

    @classmethod
    def of(cls, collection: Collection) -> Index:
        """The index that queries ask."""
        return cls(
            collection.id,
            collection.store,
            collection.index_name,
            collection.fingerprint,
            collection.dimension,
        )


class IndexIncomplete(Codex32Error):
    """A vector store lost records while an index was made; the old index goes on."""

    code = "index-incomplete"

    def __init__(self, store: str, written: int, there: int) -> None:
        super().__init__(
            f"{written} records were written to the vector store {store}, and it holds {there}; "
            "the index before stays in use"
        )
        self.store, self.written, self.there = store, written, there


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an index stands to the rows.

    Attributes:
      expected: Records that should be there.
      missing: Ids that are not.
      ghosts: Ids that are there and should not be.
      unembedded: Chunks without a vector.
      damaged: Digests of vectors that are none: of another length, or not finite.
    """

    expected: int
    missing: Sequence[str]
    ghosts: Sequence[str]
    unembedded: int
    damaged: Sequence[str]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.ghosts or self.unembedded or self.damaged)


class Storing:
    """Carries vectors from rows to stores."""

    def __init__(self, door: Door, components: Components) -> None:
        self._door, self._components = door, components

    def store(self, index: Index) -> VectorStore:
        """The store of an index.

        Raises:
          ComponentNotFound: It is not installed any more.
        """
        return self._components.vector_store(index.store)

    async def close(self) -> None:
        """Have all stores let go; one that cannot holds up none of the others."""
        for store in self._components.vector_stores.values():
            try:
                await store.close()
            except Exception as error:
                log.warning("%s could not be closed: %s", store.name, type(error).__name__)

    async def ensure(self, index: Index) -> None:
        """Make the index if it is not there."""
        await self.store(index).ensure_collection(
            index.name, dimension=index.dimension, metric="cosine"
        )

    async def flush(self, index: Index, guard: Callable[[], None]) -> int:
        """Write what the index lacks and delete what is gone; how many were written."""
        store = self.store(index)
        written = 0
        while page := await self._door.read(_pending, index):
            if records := [each for each in page if _findable(each, index)]:
                try:
                    await store.upsert(index.name, records)
                except CollectionNotFound:
                    # With a collection that was deleted meanwhile went its index.
                    await self._door.write(guard)
                    raise
            fault_point("index.stored")
            ids = [each.id for each in page]
            await self._door.write(partial(_mark, index, ids, guard))
            written += len(page)
        await self.forget_gone(index)
        return written

    async def forget_gone(self, index: Index) -> None:
        """Delete the records that are gone."""
        while gone := await self._door.read(_gone, index.store, index.name):
            if "" in gone:
                await self.store(index).drop_collection(index.name)
            else:
                await self.store(index).delete(index.name, gone)
            fault_point("index.removed")
            await self._door.write(partial(_forget, index.store, index.name, gone))

    async def delete(self, workspace: str, name: str, caller: Caller, now: int) -> None:
        """Remove the rows of a collection, a part at a time; its index is gone then.

        Raises:
          CollectionNotFound: There is none of this name.
        """
        while await self._door.write(partial(keeping.shrink, workspace, name, now)):
            pass
        await self._door.write(partial(keeping.delete, workspace, name, caller, now))

    async def drop_all_gone(self) -> None:
        """Drop the indexes that are gone, of whatever collection, in stores that are here."""
        for store, name in await self._door.read(_dropped):
            if store in self._components.vector_stores:
                await self.forget_gone(Index("", store, name, "", 0))

    async def verify(self, index: Index) -> Verdict:
        """Hold the index to the rows, record by record."""
        expected, unembedded, damaged = await self._door.read(_expected, index)
        there: set[str] = set()
        after: str | None = None
        try:
            while True:
                page = await self.store(index).list_ids(index.name, after=after)
                there.update(page.ids)
                after = page.after
                if after is None:
                    break
        except CollectionNotFound:
            there = set()
        return Verdict(
            len(expected),
            sorted(expected - there),
            sorted(there - expected),
            unembedded,
            damaged,
        )

    async def build(self, index: Index, on_progress: Callable[[int], None]) -> int:
        """Make an index anew from all the rows; how many records it holds.

        Raises:
          IndexIncomplete: The store holds another number of records than were written.
        """
        store = self.store(index)
        await store.drop_collection(index.name)
        await self.ensure(index)
        written = after = 0
        while True:
            page = await self._door.read(_page, index, after)
            if not page:
                break
            records = [record for _, record in page if _findable(record, index)]
            if records:
                await store.upsert(index.name, records)
            fault_point("index.building")
            written += len(records)
            after = page[-1][0]
            on_progress(written)
        await store.flush(index.name)
        for seconds in _PATIENCE_SECONDS:
            if (there := await store.count(index.name)) == written:
                return written
            await asyncio.sleep(seconds)
        raise IndexIncomplete(index.store, written, there)


def _findable(record: VectorRecord, index: Index) -> bool:
    """Whether a store can hold its vector: that of no word is nowhere, a damaged one no vector."""
    vector = record.vector
    return len(vector) == index.dimension and any(vector) and all(map(math.isfinite, vector))


def _pending(index: Index) -> list[VectorRecord]:
    """Records of chunks that no index holds; a move puts all of them into its own at once.

    What is in an index already is not even looked at, however large the collection.
    """
    return [record for _, record in _records(index, ChunkRow.stored_in == "")]


def _page(index: Index, after: int) -> list[tuple[int, VectorRecord]]:
    """Records of the chunks behind ``after``, with the numbers of these."""
    return _records(index, ChunkRow.number > after)


def _records(index: Index, which: pw.Expression) -> list[tuple[int, VectorRecord]]:
    vector = (
        (EmbeddingRow.collection_id == ChunkRow.collection_id)
        & (EmbeddingRow.fingerprint == index.fingerprint)
        & (EmbeddingRow.sha256 == ChunkRow.sha256)
    )
    query = (
        ChunkRow.select(
            ChunkRow.number,
            ChunkRow.id,
            EmbeddingRow.vector,
            DocumentRow.metadata,
            DocumentRow.source,
        )
        .join(EmbeddingRow, on=vector)
        .join(DocumentRow, on=DocumentRow.id == ChunkRow.document_id)
        .where((ChunkRow.collection_id == index.collection_id) & which)
        .order_by(ChunkRow.number)
        .limit(PAGE)
        .tuples()
    )
    return [
        (number, VectorRecord(each, spaces.unpack(vector), metadata=_metadata(told, source)))
        for number, each, vector, told, source in fetch(query)
    ]


def _metadata(metadata: str, source: str) -> dict[str, JSON]:
    return {**loads(metadata), "source": source}


def _mark(index: Index, ids: Sequence[str], guard: Callable[[], None]) -> None:
    guard()
    ChunkRow.update(stored_in=index.name).where(one_of(ChunkRow.id, ids)).execute()


def _gone(store: str, name: str) -> list[str]:
    here = (GoneRow.store == store) & (GoneRow.index_name == name)
    query = GoneRow.select(GoneRow.record).where(here).order_by(GoneRow.record).limit(PAGE)
    return [record for (record,) in fetch(query.tuples())]


def _forget(store: str, name: str, records: Sequence[str]) -> None:
    here = (GoneRow.store == store) & (GoneRow.index_name == name)
    if "" in records:  # with the index went all that was in it
        GoneRow.delete().where(here).execute()
    else:
        GoneRow.delete().where(here & one_of(GoneRow.record, records)).execute()


def _dropped() -> list[tuple[str, str]]:
    query = GoneRow.select(GoneRow.store, GoneRow.index_name).where(GoneRow.record == "")
    return [(store, name) for store, name in fetch(query.tuples())]


def _expected(index: Index) -> tuple[set[str], int, list[str]]:
    """Ids that the index should hold, chunks without a vector, and digests of broken ones."""
    ids: set[str] = set()
    damaged: list[str] = []
    row = EmbeddingRow
    here = (row.collection_id == index.collection_id) & (row.fingerprint == index.fingerprint)
    kept: dict[str, bool] = {}
    for digest, packed in fetch(row.select(row.sha256, row.vector).where(here).tuples()):
        try:
            kept[digest] = any(spaces.checked([spaces.unpack(packed)], 1, index.dimension)[0])
        except Exception:
            damaged.append(digest)
    unembedded = 0
    chunk = ChunkRow
    mine = chunk.select(chunk.id, chunk.sha256).where(chunk.collection_id == index.collection_id)
    broken = set(damaged)
    for chunk_id, digest in fetch(mine.tuples()):
        if digest in kept:
            if kept[digest]:
                ids.add(chunk_id)
        elif digest not in broken:
            unembedded += 1
    return ids, unembedded, damaged
