"""What every part of the suite of vector stores stands on."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from codex32 import (
    VectorStore,
)
from codex32_testing.conformance import vector_data as data

#: What is asked where it does not matter.
ASKED = [1.0, 0.0, 0.0]


class VectorStoreCase:
    """The fixtures, and what many tests begin with."""

    #: Of the ten nearest among 10,000, how many an index must find.
    recall = 0.9

    @pytest.fixture
    def vector_store(self) -> VectorStore:
        """The store to try."""
        pytest.fail(f"{type(self).__name__} needs a fixture called vector_store")

    @pytest.fixture
    def reopened(self) -> Callable[[], VectorStore]:
        """Gives another store over the same data, as a process started later would have it."""
        return lambda: pytest.fail(f"{type(self).__name__} is durable and needs 'reopened'")

    @pytest.fixture
    def collection(self) -> str:
        """A name that no other test uses."""
        return f"suite_{uuid.uuid4().hex}"

    async def filled(self, vector_store: VectorStore, collection: str) -> None:
        """Make the collection and write the three directions into it."""
        await vector_store.ensure_collection(collection, dimension=3, metric="cosine")
        assert list(await vector_store.query(collection, ASKED, limit=3)) == []
        await vector_store.upsert(collection, [data.NORTH, data.EAST, data.NORTH_EAST])

    async def ids(self, vector_store: VectorStore, collection: str, limit: int) -> list[str]:
        """All ids, sorted; each page is within its limit, and no id comes twice."""
        ids: list[str] = []
        after: str | None = None
        while True:
            page = await vector_store.list_ids(collection, after=after, limit=limit)
            assert len(page.ids) <= limit
            ids.extend(page.ids)
            if (after := page.after) is None:
                return sorted(ids)
