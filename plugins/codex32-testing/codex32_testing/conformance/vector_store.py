"""The contract of vector stores as tests."""

from __future__ import annotations

from typing import get_args

import pytest

from codex32 import (
    Metric,
    VectorRecord,
    VectorStore,
    holds,
)
from codex32_testing.conformance import vector_data as data
from codex32_testing.conformance.shared import faults
from codex32_testing.conformance.vector_base import ASKED
from codex32_testing.conformance.vector_keeping import KeepingCases
from codex32_testing.conformance.vector_refusals import RefusalCases


class VectorStoreSuite(KeepingCases, RefusalCases):
    """Subclass it and give the fixture ``vector_store``; each test has its own collection.

    A store that is ``durable`` gives ``reopened`` too.
    """

    def test_the_house_takes_it(self, vector_store: VectorStore) -> None:
        """It would not be refused when plugins are loaded."""
        assert faults("vector_stores", vector_store) == []

    @pytest.mark.asyncio
    async def test_the_nearest_come_first(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """With text, metadata and falling scores, at most ``limit`` of them."""
        await self.filled(vector_store, collection)
        matches = await vector_store.query(collection, ASKED, limit=2)
        assert [match.id for match in matches] == ["east", "north-east"]
        assert matches[0].text == "the east"
        assert dict(matches[0].metadata) == {"side": "right", "n": 1}
        assert [m.score for m in matches] == pytest.approx([1.0, 0.8], abs=1e-3)
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("metric", get_args(Metric))
    async def test_scores_and_order_are_those_of_the_metric(
        self, vector_store: VectorStore, collection: str, metric: Metric
    ) -> None:
        """Beside a plain comparison with every record."""
        records = data.random_records(150, 16)
        await vector_store.ensure_collection(collection, dimension=16, metric=metric)
        await vector_store.upsert(collection, records)
        for asked in data.random_records(3, 16, seed=7):
            matches = await vector_store.query(collection, asked.vector, limit=150)
            assert [m.id for m in matches][:10] == data.truly_nearest(
                metric, asked.vector, records, 10
            )
            true = {r.id: data.true_score(metric, asked.vector, r.vector) for r in records}
            assert {m.id: m.score for m in matches} == pytest.approx(true, rel=1e-3, abs=1e-3)
            assert [m.score for m in matches] == sorted((m.score for m in matches), reverse=True)
        await vector_store.drop_collection(collection)

    @pytest.mark.asyncio
    async def test_a_filter_means_the_same_in_every_store(
        self, vector_store: VectorStore, collection: str
    ) -> None:
        """Whatever stands in it: types, lists, what is missing, quotes and brackets."""
        records = [
            VectorRecord(str(n), [1.0, n / 100, 0.5], metadata=metadata)
            for n, metadata in enumerate(data.LIBRARY)
        ]
        await vector_store.ensure_collection(collection, dimension=3, metric="cosine")
        await vector_store.upsert(collection, records)
        for where in data.FILTERS:
            matches = await vector_store.query(collection, ASKED, limit=100, where=where)
            wanted = {record.id for record in records if holds(where, record.metadata)}
            assert {match.id for match in matches} == wanted, where
        await vector_store.drop_collection(collection)
