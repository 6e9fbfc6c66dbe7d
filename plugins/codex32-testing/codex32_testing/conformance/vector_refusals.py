"""Vector stores refuse what they must: the suite's tests of faults."""

from __future__ import annotations

import pytest

from codex32 import (
    CollectionNotFound,
    DimensionMismatch,
    Equals,
    MetricMismatch,
    RecordInvalid,
    Vector,
    VectorRecord,
    VectorStore,
)
from codex32_testing.conformance import vector_data as data
from codex32_testing.conformance.vector_base import ASKED, VectorStoreCase


class RefusalCases(VectorStoreCase):
    """What cannot be kept or asked is refused before it changes anything."""

    @pytest.mark.asyncio
    async def test_ensuring_twice_keeps_what_is_there(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Unless the dimension or the metric differs, which is refused."""
        await self.filled(vector_store, collection)
        await vector_store.ensure_collection(collection, dimension=3, metric="cosine")
        with pytest.raises(DimensionMismatch):
            await vector_store.ensure_collection(collection, dimension=4, metric="cosine")
        with pytest.raises(MetricMismatch, match="cosine"):
            await vector_store.ensure_collection(collection, dimension=3, metric="dot")
        assert len(await vector_store.query(collection, ASKED, limit=9)) == 3
        await vector_store.drop_collection(collection)
        await vector_store.ensure_collection(collection, dimension=4, metric="dot")
        assert await vector_store.count(collection) == 0
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_vectors_of_another_length_are_refused(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """When written, with the whole batch, and when asked."""
        await self.filled(vector_store, collection)
        with pytest.raises(DimensionMismatch):
            await vector_store.upsert(
                collection, [VectorRecord("sound", ASKED), VectorRecord("flat", [1.0, 0.0])]
            )
        with pytest.raises(DimensionMismatch):
            await vector_store.query(collection, [1.0, 0.0], limit=1)
        assert await vector_store.count(collection) == 3
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("fault", sorted(data.UNSOUND))
    async def test_vectors_that_point_nowhere_are_refused(
        self, vector_store: VectorStore, collection: str, fault: str
    ) -> None:
        """Before they can spoil the answers of those that are sound."""
        vector: Vector = data.UNSOUND[fault]
        await self.filled(vector_store, collection)
        with pytest.raises(RecordInvalid, match="'bad'"):
            await vector_store.upsert(
                collection, [VectorRecord("sound", ASKED), VectorRecord("bad", vector)]
            )
        with pytest.raises(RecordInvalid):
            await vector_store.query(collection, vector, limit=1)
        assert await vector_store.count(collection) == 3
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_what_no_store_can_keep_is_refused(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Names, ids, sizes, limits and filters."""
        await self.filled(vector_store, collection)
        for name in ("", "Big", "a-b", 'a"b', "1a", "a" * 49):
            with pytest.raises(RecordInvalid):
                await vector_store.ensure_collection(name, dimension=3, metric="cosine")
        for record in (
            VectorRecord("", ASKED),
            VectorRecord("x" * 257, ASKED),
            VectorRecord("a\0b", ASKED),
            VectorRecord("\ud800", ASKED),
            VectorRecord("a", ASKED, "\0"),
            VectorRecord("a", ASKED, "x" * 40_000),
            VectorRecord("a", ASKED, metadata={"n": float("nan")}),
            VectorRecord("a", ASKED, metadata={"n": {1, 2}}),
        ):
            with pytest.raises(RecordInvalid):
                await vector_store.upsert(collection, [record])
        with pytest.raises(RecordInvalid, match="twice"):
            await vector_store.upsert(collection, [data.EAST, data.EAST])
        with pytest.raises(RecordInvalid, match="too many"):
            await vector_store.upsert(collection, data.random_records(1001, 3))
        many = [str(n) for n in range(600)]
        with pytest.raises(RecordInvalid, match="more than 512 values"):
            await vector_store.upsert(collection, [VectorRecord("a", ASKED, "", {"t": many})])
        for limit in (0, -1, 1001):
            with pytest.raises(RecordInvalid):
                await vector_store.query(collection, ASKED, limit=limit)
        with pytest.raises(RecordInvalid):
            await vector_store.query(collection, ASKED, limit=1, where=Equals('n" or "" == "', ""))
        assert await vector_store.count(collection) == 3
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_a_collection_that_is_not_there_is_named(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Never made, or dropped; dropping again and deleting from it does no harm."""
        with pytest.raises(CollectionNotFound, match=collection):
            await vector_store.query(collection, [1.0], limit=1)
        await self.filled(vector_store, collection)
        await vector_store.drop_collection(collection)
        await vector_store.drop_collection(collection)
        assert await vector_store.delete(collection, ["east"]) == 0
        with pytest.raises(CollectionNotFound, match=collection):
            await vector_store.upsert(collection, [data.EAST])
        with pytest.raises(CollectionNotFound, match=collection):
            await vector_store.count(collection)
        with pytest.raises(CollectionNotFound, match=collection):
            await vector_store.list_ids(collection)
