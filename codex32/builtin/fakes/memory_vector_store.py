"""Vectors kept in memory and compared one by one; gone with the process."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from codex32 import (
    CollectionNotFound,
    DimensionMismatch,
    Filter,
    Match,
    Metric,
    Vector,
    VectorRecord,
    VectorStore,
)


@dataclass(slots=True)
class _Collection:
    dimension: int
    metric: Metric
    records: dict[str, VectorRecord] = field(default_factory=dict)

    def check(self, vector: Vector) -> None:
        if len(vector) != self.dimension:
            raise DimensionMismatch(self.dimension, len(vector))


class MemoryVectorStore(VectorStore):
    """Exact, for some ten thousand records."""

    name = "memory"

    def __init__(self) -> None:
        self._collections: dict[str, _Collection] = {}

    async def ensure_collection(self, name: str, *, dimension: int, metric: Metric) -> None:
        """Make the collection if it is not there."""
        collection = self._collections.setdefault(name, _Collection(dimension, metric))
        if collection.dimension != dimension:
            raise DimensionMismatch(collection.dimension, dimension)

    async def upsert(self, collection: str, records: Sequence[VectorRecord]) -> None:
        """Write all of the records, or none where one does not fit."""
        kept = self._find(collection)
        for record in records:
            kept.check(record.vector)
        kept.records.update({record.id: record for record in records})

    async def query(
        self, collection: str, vector: Vector, *, limit: int, where: Filter | None = None
    ) -> Sequence[Match]:
        """The nearest records; of equally near ones those that were written first."""
        kept = self._find(collection)
        kept.check(vector)
        matches = (
            Match(
                record.id, _score(kept.metric, vector, record.vector), record.text, record.metadata
            )
            for record in kept.records.values()
            if _fits(record, where or {})
        )
        return heapq.nlargest(limit, matches, key=lambda match: match.score)

    async def delete(self, collection: str, ids: Sequence[str]) -> int:
        """Delete by id; how many were there."""
        kept = self._collections.get(collection)
        return sum(kept.records.pop(one, None) is not None for one in ids) if kept else 0

    async def drop_collection(self, name: str) -> None:
        """Forget a collection."""
        self._collections.pop(name, None)

    def _find(self, name: str) -> _Collection:
        try:
            return self._collections[name]
        except KeyError:
            raise CollectionNotFound(name) from None


def _score(metric: Metric, one: Vector, other: Vector) -> float:
    if metric == "euclidean":
        return 1 / (1 + math.dist(one, other))
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    if metric == "dot":
        return dot
    lengths = math.hypot(*one) * math.hypot(*other)
    return dot / lengths if lengths else 0.0


def _fits(record: VectorRecord, where: Filter) -> bool:
    # True equals 1 in Python and is another value in JSON.
    return all(
        key in record.metadata
        and record.metadata[key] == value
        and isinstance(record.metadata[key], bool) is isinstance(value, bool)
        for key, value in where.items()
    )
