"""The contract of vector stores as tests."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from codex32 import CollectionNotFound, DimensionMismatch, VectorRecord, VectorStore
from codex32_testing.conformance.shared import faults

_EAST = VectorRecord("east", [1.0, 0.0, 0.0], "the east", {"side": "right", "n": 1})
_NORTH_EAST = VectorRecord("north-east", [0.8, 0.6, 0.0], "between", {"side": "right", "n": 2})
_NORTH = VectorRecord("north", [0.0, 1.0, 0.0], "the north", {"side": "up", "n": 3})


class VectorStoreSuite:
    """Subclass it and give the fixture ``vector_store``; each test has its own collection."""

    @pytest.fixture
    def vector_store(self) -> VectorStore:
        """The store to try."""
        pytest.fail(f"{type(self).__name__} needs a fixture called vector_store")

    @pytest.fixture
    def collection(self) -> str:
        """A name that no other test uses."""
        return f"suite_{uuid.uuid4().hex}"

    def test_the_house_takes_it(self, vector_store: VectorStore) -> None:
        """It would not be refused when plugins are loaded."""
        assert faults("vector_stores", vector_store) == []

    @pytest.mark.asyncio
    async def test_the_nearest_come_first(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """With text, metadata and falling scores, at most ``limit`` of them."""
        await self._filled(vector_store, collection)
        matches = await vector_store.query(collection, [1.0, 0.0, 0.0], limit=2)
        assert [match.id for match in matches] == ["east", "north-east"]
        assert matches[0].text == "the east"
        assert dict(matches[0].metadata) == {"side": "right", "n": 1}
        assert [m.score for m in matches] == pytest.approx([1.0, 0.8], abs=1e-3)
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    @pytest.mark.parametrize(
        ("metric", "scores"),
        [
            ("cosine", [1.0, 0.8, 0.0]),
            ("dot", [2.0, 1.6, 0.0]),
            ("euclidean", [0.5, 0.4271, 0.3090]),
        ],
    )
    async def test_scores_follow_the_metric(
        self, vector_store: VectorStore, collection: str, metric: str, scores: list[float]
    ) -> None:
        """Cosine and dot as such, euclidean as ``1 / (1 + distance)``."""
        await vector_store.ensure_collection(collection, dimension=3, metric=metric)  # type: ignore[arg-type]
        await vector_store.upsert(collection, [_NORTH, _NORTH_EAST, _EAST])
        matches = await vector_store.query(collection, [2.0, 0.0, 0.0], limit=3)
        assert [match.id for match in matches] == ["east", "north-east", "north"]
        assert [match.score for match in matches] == pytest.approx(scores, abs=1e-3)
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_a_filter_must_hold_whole(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """All its entries, exactly."""
        await self._filled(vector_store, collection)
        query = [1.0, 0.0, 0.0]
        right = await vector_store.query(collection, query, limit=9, where={"side": "right"})
        both = await vector_store.query(
            collection, query, limit=9, where={"side": "right", "n": 2}
        )
        none = await vector_store.query(collection, query, limit=9, where={"missing": True})
        assert {match.id for match in right} == {"east", "north-east"}
        assert [match.id for match in both] == ["north-east"]
        assert list(none) == []
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_the_same_id_is_replaced(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Vector, text and metadata; nothing of the old record is left."""
        await self._filled(vector_store, collection)
        await vector_store.upsert(collection, [VectorRecord("east", [0.0, 0.0, 1.0], "moved")])
        matches = await vector_store.query(collection, [0.0, 0.0, 1.0], limit=3)
        assert matches[0].id == "east"
        assert matches[0].text == "moved"
        assert dict(matches[0].metadata) == {}
        assert len(matches) == 3
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_deleting_says_how_many_were_there(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """And deleting again does no harm."""
        await self._filled(vector_store, collection)
        assert await vector_store.delete(collection, ["east", "nowhere"]) == 1
        assert await vector_store.delete(collection, ["east"]) == 0
        matches = await vector_store.query(collection, [1.0, 0.0, 0.0], limit=9)
        assert {match.id for match in matches} == {"north-east", "north"}
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_ensuring_twice_keeps_what_is_there(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Unless the dimension differs, which is refused."""
        await self._filled(vector_store, collection)
        await vector_store.ensure_collection(collection, dimension=3, metric="cosine")
        assert len(await vector_store.query(collection, [1.0, 0.0, 0.0], limit=9)) == 3
        with pytest.raises(DimensionMismatch):
            await vector_store.ensure_collection(collection, dimension=4, metric="cosine")
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_vectors_of_another_length_are_refused(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """When written and when asked."""
        await self._filled(vector_store, collection)
        with pytest.raises(DimensionMismatch):
            await vector_store.upsert(collection, [VectorRecord("flat", [1.0, 0.0])])
        with pytest.raises(DimensionMismatch):
            await vector_store.query(collection, [1.0, 0.0], limit=1)
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_a_collection_that_is_not_there_is_named(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Never made, or dropped; dropping again does no harm."""
        with pytest.raises(CollectionNotFound, match=collection):
            await vector_store.query(collection, [1.0], limit=1)
        await self._filled(vector_store, collection)
        await vector_store.drop_collection(collection)
        await vector_store.drop_collection(collection)
        with pytest.raises(CollectionNotFound, match=collection):
            await vector_store.upsert(collection, [_EAST])

    @pytest.mark.asyncio
    async def test_many_may_write_at_once(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Nothing is lost."""
        await vector_store.ensure_collection(collection, dimension=3, metric="cosine")
        batches = [
            [VectorRecord(f"{batch}-{n}", [1.0, batch + 1.0, n + 1.0]) for n in range(20)]
            for batch in range(5)
        ]
        await asyncio.gather(*(vector_store.upsert(collection, batch) for batch in batches))
        matches = await vector_store.query(collection, [1.0, 1.0, 1.0], limit=200)
        assert len({match.id for match in matches}) == 100
        await vector_store.drop_collection(collection)

    async def _filled(self, vector_store: VectorStore, collection: str) -> None:
        await vector_store.ensure_collection(collection, dimension=3, metric="cosine")
        assert list(await vector_store.query(collection, [1.0, 0.0, 0.0], limit=3)) == []
        await vector_store.upsert(collection, [_NORTH, _EAST, _NORTH_EAST])
