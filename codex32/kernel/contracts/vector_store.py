"""Keeping vectors and finding the nearest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from codex32.kernel.contracts.embedder import Vector
from codex32.kernel.json_values import JSON

Metric: TypeAlias = Literal["cosine", "dot", "euclidean"]
#: Exact matches on metadata, all of which must hold: ``{"source": "handbook.md"}``.
Filter: TypeAlias = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class VectorRecord:
    """A vector with its id, its text and metadata."""

    id: str
    vector: Vector
    text: str = ""
    metadata: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A record near the query.

    Attributes:
      score: The higher the nearer; cosine and dot as such, euclidean as ``1 / (1 + distance)``.
    """

    id: str
    score: float
    text: str = ""
    metadata: Mapping[str, JSON] = field(default_factory=dict)


class VectorStore(ABC):
    """Keeps vectors in collections. All methods may be called concurrently."""

    name: str

    @abstractmethod
    async def ensure_collection(self, name: str, *, dimension: int, metric: Metric) -> None:
        """Make the collection if it is not there; do nothing if it is and fits.

        Raises:
          DimensionMismatch: It is there with another dimension.
        """

    @abstractmethod
    async def upsert(self, collection: str, records: Sequence[VectorRecord]) -> None:
        """Write records, replacing those of the same id; durable on return.

        Raises:
          CollectionNotFound: There is no such collection.
          DimensionMismatch: A vector has another length.
        """

    @abstractmethod
    async def query(
        self, collection: str, vector: Vector, *, limit: int, where: Filter | None = None
    ) -> Sequence[Match]:
        """The nearest records, best first, at most ``limit``.

        Raises:
          CollectionNotFound: There is no such collection.
          DimensionMismatch: The vector has another length.
        """

    @abstractmethod
    async def delete(self, collection: str, ids: Sequence[str]) -> int:
        """Delete by id; how many were there."""

    @abstractmethod
    async def drop_collection(self, name: str) -> None:
        """Delete a collection; nothing happens where there is none."""
