"""Vector stores whose SDK waits: the checks, the threads and the time limits of all of them."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from codex32.kernel.contracts.embedder import Vector
from codex32.kernel.contracts.vector_store import IdPage, Match, Metric, VectorRecord, VectorStore
from codex32.kernel.errors import Codex32Error, ProviderUnavailable
from codex32.kernel.vector_checks import (
    check_collection,
    check_limit,
    check_query,
    check_records,
)
from codex32.kernel.vector_errors import CollectionNotFound, DimensionMismatch, MetricMismatch
from codex32.kernel.vector_filters import Filter

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a collection was made for."""

    dimension: int
    metric: Metric


class BlockingVectorStore(VectorStore):
    """Implement the plain methods below; each is called on a thread, checked before.

    Shapes are remembered. A method that finds the collection gone raises ``CollectionNotFound``;
    whatever else it raises goes through :meth:`fault`.

    Attributes:
      timeout_seconds: What each call may take; give the SDK the same.
      flush_seconds: What a flush may take, which may build an index.
    """

    timeout_seconds: float = 30.0
    flush_seconds: float = 600.0

    def __init__(self) -> None:
        self._shapes: dict[str, Shape] = {}

    @abstractmethod
    def find(self, name: str) -> Shape | None:
        """What a collection was made for, or None if there is none."""

    @abstractmethod
    def make(self, name: str, shape: Shape) -> None:
        """Make a collection; another process may do so at the same time."""

    @abstractmethod
    def write(self, name: str, shape: Shape, records: Sequence[VectorRecord]) -> None:
        """Write records, at least one; see ``VectorStore.upsert``."""

    @abstractmethod
    def nearest(
        self, name: str, shape: Shape, vector: Vector, limit: int, where: Filter | None
    ) -> list[Match]:
        """See ``VectorStore.query``."""

    @abstractmethod
    def remove(self, name: str, ids: Sequence[str]) -> int:
        """Delete ids, at least one, no two alike; how many were there."""

    @abstractmethod
    def page(self, name: str, after: str | None, limit: int) -> IdPage:
        """See ``VectorStore.list_ids``."""

    @abstractmethod
    def size(self, name: str) -> int:
        """See ``VectorStore.count``."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Delete a collection, if there is one."""

    @abstractmethod
    def fault(self, error: Exception) -> Exception:
        """What an error of the SDK is in the words of the house; itself if it is a bug."""

    def settle(self, name: str) -> None:
        """See ``VectorStore.flush``."""

    def shut(self) -> None:
        """See ``VectorStore.close``."""

    async def ensure_collection(self, name: str, *, dimension: int, metric: Metric) -> None:
        """Make the collection if it is not there, and remember what it is for."""
        check_collection(name, dimension)
        shape = await self._call(self._ensure, name, Shape(dimension, metric))
        self._shapes[name] = shape
        if shape.dimension != dimension:
            raise DimensionMismatch(shape.dimension, dimension)
        if shape.metric != metric:
            raise MetricMismatch(shape.metric, metric)

    async def upsert(self, collection: str, records: Sequence[VectorRecord]) -> None:
        """Check all records, then write them."""
        shape = await self._shape(collection)
        await self._call(self._write, collection, shape, records)

    async def query(
        self, collection: str, vector: Vector, *, limit: int, where: Filter | None = None
    ) -> Sequence[Match]:
        """Check what is asked, then ask it."""
        shape = await self._shape(collection)
        check_query(vector, shape.dimension, limit, where)
        return await self._call(self.nearest, collection, shape, vector, limit, where)

    async def delete(self, collection: str, ids: Sequence[str]) -> int:
        """Delete by id; how many were there."""
        unique = list(dict.fromkeys(ids))
        try:
            await self._shape(collection)
            return await self._call(self.remove, collection, unique) if unique else 0
        except CollectionNotFound:
            return 0

    async def list_ids(
        self, collection: str, *, after: str | None = None, limit: int = 1000
    ) -> IdPage:
        """A page of ids."""
        check_limit(limit)
        await self._shape(collection)
        return await self._call(self.page, collection, after, limit)

    async def count(self, collection: str) -> int:
        """How many records are there."""
        await self._shape(collection)
        return await self._call(self.size, collection)

    async def drop_collection(self, name: str) -> None:
        """Delete a collection, if there is one."""
        check_collection(name)
        self._shapes.pop(name, None)
        await self._call(self.drop, name)

    async def flush(self, collection: str) -> None:
        """End an ingest job."""
        await self._shape(collection)
        await self._call(self.settle, collection, seconds=self.flush_seconds)

    async def close(self) -> None:
        """Give up what is open."""
        self._shapes.clear()
        await self._call(self.shut)

    def _ensure(self, name: str, shape: Shape) -> Shape:
        found = self.find(name)
        if found is None:
            self.make(name, shape)
            found = self.find(name)
        return shape if found is None else found

    def _write(self, name: str, shape: Shape, records: Sequence[VectorRecord]) -> None:
        check_records(records, shape.dimension)
        if records:
            self.write(name, shape, records)

    async def _shape(self, name: str) -> Shape:
        known = self._shapes.get(name)
        if known is not None:
            return known
        check_collection(name)
        found = await self._call(self.find, name)
        if found is None:
            raise CollectionNotFound(name)
        self._shapes[name] = found
        return found

    async def _call(
        self, function: Callable[..., _T], *arguments: object, seconds: float | None = None
    ) -> _T:
        limit = self.timeout_seconds if seconds is None else seconds
        try:
            # The thread ends by the SDK's own limit; this one holds against servers that trickle.
            async with asyncio.timeout(limit):
                return await asyncio.to_thread(function, *arguments)
        except TimeoutError:
            raise ProviderUnavailable(f"{self.name} did not answer within {limit:g} s") from None
        except CollectionNotFound as error:
            self._shapes.pop(error.name, None)
            raise
        except Codex32Error:
            raise
        except Exception as error:
            translated = self.fault(error)
            if isinstance(translated, CollectionNotFound):
                self._shapes.pop(translated.name, None)
            raise translated from error
