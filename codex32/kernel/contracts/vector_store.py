"""Keeping vectors and finding the nearest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from codex32.kernel.contracts.embedder import Vector
from codex32.kernel.json_values import JSON
from codex32.kernel.vector_filters import Filter

Metric: TypeAlias = Literal["cosine", "dot", "euclidean"]


@dataclass(frozen=True, slots=True)
class VectorRecord:
    """A vector with its id, its text and metadata; sizes are told in ``check_records``.

    Attributes:
      metadata: Any JSON; it comes back as it was. Filters see texts, numbers, booleans and
        lists of them under keys like ``[A-Za-z_][A-Za-z0-9_-]{0,63}``.
    """

    id: str
    vector: Vector
    text: str = ""
    metadata: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A record near the query.

    Attributes:
      score: The higher the nearer; cosine and dot as such, euclidean as ``1 / (1 + distance)``.
        Stores keep 32-bit floats: right to 1e-3 of itself.
    """

    id: str
    score: float
    text: str = ""
    metadata: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdPage:
    """Some ids of a collection.

    Attributes:
      after: What to give for the next page; None where this is the last.
    """

    ids: Sequence[str]
    after: str | None = None


class VectorStore(ABC):
    """Keeps vectors in collections.

    All methods may be called concurrently, from several event loops and threads of a process,
    and, unless ``shared`` is False, from several processes at once. None of them holds up the
    event loop, and each ends within the store's own time limit.

    What a call was given is checked before it is sent (``check_collection``, ``check_records``,
    ``check_query``), so what is refused changed nothing. A service's own faults are told as
    ``ProviderUnavailable``, ``ProviderRateLimited`` (worth trying again), ``ProviderRejected`` or
    ``ProviderUnauthorized`` (not), by every method. Writing again what was written before
    changes nothing, so every call may be repeated after a fault.

    Attributes:
      durable: What a write returned for outlives every process, however it ends.
      shared: Several processes may use the same collections at once.
    """

    name: str
    durable: bool
    shared: bool

    @abstractmethod
    async def ensure_collection(self, name: str, *, dimension: int, metric: Metric) -> None:
        """Make the collection if it is not there; do nothing if it is and fits.

        Raises:
          DimensionMismatch: It is there with another dimension.
          MetricMismatch: It is there with another metric.
          RecordInvalid: No collection can be called so, or have this dimension.
        """

    @abstractmethod
    async def upsert(self, collection: str, records: Sequence[VectorRecord]) -> None:
        """Write records, replacing those of the same id whole; found by queries on return.

        Not atomic: after a fault some of the records may be written. Where two calls write the
        same id at once, one of them wins whole.

        Args:
          collection: One that was ensured.
          records: Up to 1000.

        Raises:
          CollectionNotFound: There is no such collection.
          DimensionMismatch: A vector has another length.
          RecordInvalid: A record cannot be kept; none was written.
        """

    @abstractmethod
    async def query(
        self, collection: str, vector: Vector, *, limit: int, where: Filter | None = None
    ) -> Sequence[Match]:
        """The nearest records of which ``where`` holds, best first, at most ``limit`` (1 … 1000).

        Indexes may overlook a near record where there are many; a filter never lets one through
        of which it does not hold.

        Raises:
          CollectionNotFound: There is no such collection.
          DimensionMismatch: The vector has another length.
          RecordInvalid: The vector, the limit or the filter cannot be asked for.
        """

    @abstractmethod
    async def delete(self, collection: str, ids: Sequence[str]) -> int:
        """Delete by id, up to 1000; how many were there. Nothing is in no collection.

        Two calls that delete the same id at once may both count it.
        """

    @abstractmethod
    async def list_ids(
        self, collection: str, *, after: str | None = None, limit: int = 1000
    ) -> IdPage:
        """The ids of a collection, page by page, in an order of the store's own.

        Each id that is there throughout is on one page. Pages may have fewer than ``limit`` ids
        (1 … 1000); the last is the one whose ``after`` is None.

        Raises:
          CollectionNotFound: There is no such collection.
          RecordInvalid: The limit is none.
        """

    @abstractmethod
    async def count(self, collection: str) -> int:
        """How many records a collection has, counted, not estimated.

        Raises:
          CollectionNotFound: There is no such collection.
        """

    @abstractmethod
    async def drop_collection(self, name: str) -> None:
        """Delete a collection with all its records; nothing happens where there is none."""

    async def flush(self, collection: str) -> None:  # noqa: B027 - nothing to do is an answer
        """Make what was written quick to search: called once at the end of an ingest job.

        Nothing depends on it but speed.

        Raises:
          CollectionNotFound: There is no such collection.
        """

    async def close(self) -> None:  # noqa: B027
        """Give up connections, files and children; the next call opens them again."""
