"""Vector stores keep what they were given: the suite's tests of writing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from codex32 import (
    Equals,
    VectorRecord,
    VectorStore,
)
from codex32_testing.conformance import vector_data as data
from codex32_testing.conformance.vector_base import ASKED, VectorStoreCase


class KeepingCases(VectorStoreCase):
    """Nothing is lost, changed or mixed up."""

    @pytest.mark.asyncio
    async def test_ten_thousand_records_are_kept_and_found(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Counted, listed once each, and the nearest among them, before and after a flush."""
        records = data.random_records(10_000, 32)
        await vector_store.ensure_collection(collection, dimension=32, metric="cosine")
        for start in range(0, len(records), 1000):
            await vector_store.upsert(collection, records[start : start + 1000])
        assert await vector_store.count(collection) == 10_000
        await vector_store.flush(collection)
        assert await vector_store.count(collection) == 10_000
        assert await self.ids(vector_store, collection, 1000) == [r.id for r in records]
        found = 0
        asked = data.random_records(5, 32, seed=7)
        for one in asked:
            matches = await vector_store.query(collection, one.vector, limit=10)
            best = data.truly_nearest("cosine", one.vector, records, 10)
            found += len({m.id for m in matches} & set(best))
            for match in await vector_store.query(
                collection, one.vector, limit=5, where=Equals("part", "p3")
            ):
                assert match.metadata["n"] % 10 == 3
        assert found >= self.recall * 10 * len(asked)
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_any_text_may_be_an_id(self, vector_store: VectorStore, collection: str) -> None:
        """It is written, replaced, found, listed and deleted, and no other with it."""
        await vector_store.ensure_collection(collection, dimension=3, metric="cosine")
        for text in ("old", "new"):
            await vector_store.upsert(
                collection, [VectorRecord(one, ASKED, text) for one in data.HOSTILE]
            )
        matches = await vector_store.query(collection, ASKED, limit=100)
        assert {(m.id, m.text) for m in matches} == {(one, "new") for one in data.HOSTILE}
        assert await self.ids(vector_store, collection, 7) == sorted(data.HOSTILE)
        for n, one in enumerate(data.HOSTILE, start=1):
            assert await vector_store.delete(collection, [one]) == 1, one
            assert await vector_store.count(collection) == len(data.HOSTILE) - n
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_text_and_metadata_come_back_as_they_were(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Any JSON, any text, as much of it as fits."""
        long = "ß\"\\\n🥖'" * 2000
        await vector_store.ensure_collection(collection, dimension=3, metric="cosine")
        await vector_store.upsert(
            collection,
            [VectorRecord("a", ASKED, long, data.JSON_METADATA), VectorRecord("b", ASKED)],
        )
        matches = await vector_store.query(collection, ASKED, limit=2)
        found = {match.id: (match.text, dict(match.metadata)) for match in matches}
        assert found == {"a": (long, data.JSON_METADATA), "b": ("", {})}
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_the_same_id_is_replaced(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Vector, text and metadata; nothing of the old record is left."""
        await self.filled(vector_store, collection)
        await vector_store.upsert(collection, [VectorRecord("east", [0.0, 0.0, 1.0], "moved")])
        matches = await vector_store.query(collection, [0.0, 0.0, 1.0], limit=3)
        assert matches[0].id == "east"
        assert matches[0].text == "moved"
        assert dict(matches[0].metadata) == {}
        assert len(matches) == await vector_store.count(collection) == 3
        left = await vector_store.query(collection, ASKED, limit=9, where=Equals("side", "right"))
        assert [match.id for match in left] == ["north-east"]
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_deleting_says_how_many_were_there(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """And deleting again does no harm."""
        await self.filled(vector_store, collection)
        assert await vector_store.delete(collection, ["east", "nowhere"]) == 1
        assert await vector_store.delete(collection, ["east"]) == 0
        assert await vector_store.delete(collection, ["north", "north"]) == 1
        assert await vector_store.delete(collection, []) == 0
        matches = await vector_store.query(collection, ASKED, limit=9)
        assert {match.id for match in matches} == {"north-east"}
        await vector_store.upsert(collection, [data.EAST])
        assert await self.ids(vector_store, collection, 1) == ["east", "north-east"]
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_collections_know_nothing_of_each_other(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """The same id in two of them is two records; the one stays where the other goes."""
        other = f"{collection[:40]}_b"
        await self.filled(vector_store, collection)
        await vector_store.ensure_collection(other, dimension=2, metric="dot")
        await vector_store.upsert(other, [VectorRecord("east", [0.0, 5.0], "elsewhere")])
        assert await vector_store.delete(other, ["north"]) == 0
        (match,) = await vector_store.query(other, [0.0, 2.0], limit=9)
        assert (match.id, match.text) == ("east", "elsewhere")
        assert match.score == pytest.approx(10)
        await vector_store.drop_collection(other)
        assert await vector_store.count(collection) == 3
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_many_may_ensure_the_same_at_once(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """As workers do that start together."""
        await asyncio.gather(
            *(
                vector_store.ensure_collection(collection, dimension=3, metric="cosine")
                for _ in range(4)
            )
        )
        assert await vector_store.count(collection) == 0
        await vector_store.drop_collection(collection)

    def test_many_threads_may_write_at_once(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Each with an event loop of its own; nothing is lost."""

        async def write(writer: int) -> None:
            for batch in range(5):
                await vector_store.upsert(
                    collection,
                    [
                        VectorRecord(f"{writer}-{batch}-{n}", [1.0, writer + 1.0, n + 1.0])
                        for n in range(10)
                    ],
                )

        async def both(writer: int) -> None:
            await asyncio.gather(write(writer), write(writer + 10))

        async def seen() -> tuple[int, int]:
            matches = await vector_store.query(collection, [1.0, 1.0, 1.0], limit=1000)
            return await vector_store.count(collection), len({match.id for match in matches})

        asyncio.run(vector_store.ensure_collection(collection, dimension=3, metric="cosine"))
        threads = [
            threading.Thread(target=asyncio.run, args=(both(writer),)) for writer in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert asyncio.run(seen()) == (400, 400)
        asyncio.run(vector_store.drop_collection(collection))

    @pytest.mark.asyncio
    async def test_what_was_written_is_there_when_it_is_opened_again(
        self,
        vector_store: VectorStore,
        collection: str,
        reopened: Callable[[], VectorStore],
    ) -> None:
        """By another store over the same data, if the store says that it is durable."""
        await self.filled(vector_store, collection)
        await vector_store.close()
        again = reopened() if vector_store.durable else vector_store
        matches = await again.query(collection, ASKED, limit=9)
        assert [match.id for match in matches] == ["east", "north-east", "north"]
        assert await again.delete(collection, ["east"]) == 1
        await again.close()
        assert await vector_store.count(collection) == 2
        await vector_store.drop_collection(collection)
