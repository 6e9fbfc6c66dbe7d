"""Vectors kept in memory and compared one by one; gone with the process."""

from __future__ import annotations

import asyncio
import bisect
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import mul

from codex32 import (
    CollectionNotFound,
    DimensionMismatch,
    Filter,
    IdPage,
    Match,
    Metric,
    MetricMismatch,
    Vector,
    VectorRecord,
    VectorStore,
    check_collection,
    check_limit,
    check_query,
    check_records,
    holds,
)


@dataclass(frozen=True, slots=True)
class _Kept:
    record: VectorRecord
    #: As floats, of length 1 where the metric is cosine.
    vector: list[float]


@dataclass(slots=True)
class _Collection:
    dimension: int
    metric: Metric
    #: Changed by single calls alone, which no other thread can see half done.
    kept: dict[str, _Kept] = field(default_factory=dict)

    def prepared(self, vector: Vector) -> list[float]:
        numbers = [float(number) for number in vector]
        if self.metric != "cosine":
            return numbers
        length = math.hypot(*numbers)
        return [number / length for number in numbers]

    def nearest(self, vector: Vector, limit: int, where: Filter | None) -> list[Match]:
        asked = self.prepared(vector)
        scored = (
            (_score(self.metric, asked, kept.vector), kept.record)
            for kept in list(self.kept.values())
            if where is None or holds(where, kept.record.metadata)
        )
        best = heapq.nlargest(limit, scored, key=lambda pair: pair[0])
        return [Match(r.id, score, r.text, dict(r.metadata)) for score, r in best]


class MemoryVectorStore(VectorStore):
    """Exact, for some ten thousand records: each query looks at all of them, on a thread."""

    name = "memory"
    durable = False
    shared = False

    def __init__(self) -> None:
        self._collections: dict[str, _Collection] = {}

    async def ensure_collection(self, name: str, *, dimension: int, metric: Metric) -> None:
        """Make the collection if it is not there."""
        check_collection(name, dimension)
        collection = self._collections.setdefault(name, _Collection(dimension, metric))
        if collection.dimension != dimension:
            raise DimensionMismatch(collection.dimension, dimension)
        if collection.metric != metric:
            raise MetricMismatch(collection.metric, metric)

    async def upsert(self, collection: str, records: Sequence[VectorRecord]) -> None:
        """Write all of the records, or none where one does not fit."""
        found = self._find(collection)
        check_records(records, found.dimension)
        found.kept.update({r.id: _Kept(r, found.prepared(r.vector)) for r in records})

    async def query(
        self, collection: str, vector: Vector, *, limit: int, where: Filter | None = None
    ) -> Sequence[Match]:
        """The nearest records; of equally near ones those that were written first."""
        found = self._find(collection)
        check_query(vector, found.dimension, limit, where)
        return await asyncio.to_thread(found.nearest, vector, limit, where)

    async def delete(self, collection: str, ids: Sequence[str]) -> int:
        """Delete by id; how many were there."""
        found = self._collections.get(collection)
        return sum(found.kept.pop(one, None) is not None for one in ids) if found else 0

    async def list_ids(
        self, collection: str, *, after: str | None = None, limit: int = 1000
    ) -> IdPage:
        """The ids, sorted."""
        found = self._find(collection)
        check_limit(limit)
        ids = sorted(found.kept)
        start = 0 if after is None else bisect.bisect_right(ids, after)
        page = ids[start : start + limit]
        return IdPage(page, page[-1] if start + limit < len(ids) else None)

    async def count(self, collection: str) -> int:
        """How many records are there."""
        return len(self._find(collection).kept)

    async def drop_collection(self, name: str) -> None:
        """Forget a collection."""
        self._collections.pop(name, None)

    def _find(self, name: str) -> _Collection:
        try:
            return self._collections[name]
        except KeyError:
            raise CollectionNotFound(name) from None


def _score(metric: Metric, one: Sequence[float], other: Sequence[float]) -> float:
    if metric == "euclidean":
        return 1 / (1 + math.dist(one, other))
    return sum(map(mul, one, other), 0.0)
