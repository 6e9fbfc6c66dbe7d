"""The vector store ``pinecone``: an index for each collection."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from codex32 import (
    BlockingVectorStore,
    CollectionNotFound,
    Filter,
    IdPage,
    Match,
    Metric,
    ProviderRejected,
    Shape,
    Vector,
    VectorRecord,
    facts,
    numbers,
)
from codex32_pinecone.faults import translated
from codex32_pinecone.filters import EVERY, NUMBER, pinecone_filter

if TYPE_CHECKING:
    from pinecone import Index, Pinecone

_METRICS: dict[Metric, str] = {
    "cosine": "cosine",
    "dot": "dotproduct",
    "euclidean": "euclidean",
}
#: Ids that Pinecone takes as they are; others are written as ``~`` and base64.
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,256}")
#: As many vectors as one request carries: 2 MB at the most.
_BATCH = 100
_LONGEST_NAME = 45
#: The field that Pinecone's vectors are kept in.
_FIELD = "_values"


class PineconeVectorStore(BlockingVectorStore):
    """Collections of Pinecone. What was written may be found some seconds later only."""

    name = "pinecone"
    durable = True
    shared = True

    def __init__(
        self,
        api_key: str,
        *,
        host: str = "https://api.pinecone.io",
        cloud: str = "aws",
        region: str = "us-east-1",
        prefix: str = "codex32",
        timeout_seconds: float = 60.0,
    ) -> None:
        super().__init__()
        self.timeout_seconds = timeout_seconds
        self._api_key, self._host = api_key, host
        self._place = {"deployment_type": "managed", "cloud": cloud, "region": region}
        self._prefix = prefix
        self._client: Pinecone | None = None
        self._indexes: dict[str, Index] = {}
        self._owner = 0
        self._lock = threading.RLock()

    def find(self, name: str) -> Shape | None:
        """Read it from the index's description."""
        from pinecone import errors

        try:
            index = self._opened().indexes.describe(self._index_name(name))
        except errors.NotFoundError:
            return None
        metrics = {word: metric for metric, word in _METRICS.items()}
        field: Any = index.schema.fields[_FIELD]
        return Shape(int(field.dimension), metrics[str(field.metric)])

    def make(self, name: str, shape: Shape) -> None:
        """Make the index and wait until it is ready; another may have been quicker."""
        from pinecone import errors

        try:
            self._opened().indexes.create(
                name=self._index_name(name),
                schema={"fields": {_FIELD: _field(shape)}},
                deployment=self._place,
                timeout=max(1, int(self.timeout_seconds)),
            )
        except errors.ConflictError:
            return

    def write(self, name: str, shape: Shape, records: Sequence[VectorRecord]) -> None:
        """Upsert, a hundred at a time."""
        vectors = [_vector(record) for record in records]
        with self._index(name) as index:
            for start in range(0, len(vectors), _BATCH):
                index.upsert(vectors=vectors[start : start + _BATCH], show_progress=False)

    def nearest(
        self, name: str, shape: Shape, vector: Vector, limit: int, where: Filter | None
    ) -> list[Match]:
        """Query; the score is a similarity but for euclidean, where it is the square."""
        with self._index(name) as index:
            answer = index.query(
                vector=[float(number) for number in vector],
                top_k=limit,
                filter=pinecone_filter(where) if where is not None else None,
                include_metadata=True,
            )
        return [_match(shape.metric, match) for match in answer.matches]

    def remove(self, name: str, ids: Sequence[str]) -> int:
        """Look which are there, since Pinecone does not say, then delete those."""
        wanted = [_written(one) for one in ids]
        found = 0
        with self._index(name) as index:
            for start in range(0, len(wanted), _BATCH):
                there = list(index.fetch(ids=wanted[start : start + _BATCH]).vectors)
                if there:
                    index.delete(ids=there)
                found += len(there)
        return found

    def page(self, name: str, after: str | None, limit: int) -> IdPage:
        """A page of Pinecone's own listing, which has at most a hundred ids."""
        with self._index(name) as index:
            answer = index.list_paginated(limit=min(limit, 100), pagination_token=after)
        ids = [_read(item.id) for item in answer.vectors if item.id]
        following = answer.pagination.next if answer.pagination else None
        return IdPage(ids, following or None)

    def size(self, name: str) -> int:
        """What the index's statistics say."""
        with self._index(name) as index:
            return int(index.describe_index_stats().total_vector_count)

    def drop(self, name: str) -> None:
        """Delete the index, if it is there."""
        from pinecone import errors

        self._let_go(name)
        try:
            self._opened().indexes.delete(
                self._index_name(name), timeout=max(1, int(self.timeout_seconds))
            )
        except errors.NotFoundError:
            return

    def shut(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._client = self._client, None
            indexes, self._indexes = list(self._indexes.values()), {}
            for each in (*indexes, client):
                if each is not None and self._owner == os.getpid():
                    each.close()

    def fault(self, error: Exception) -> Exception:
        """What the SDK's exceptions mean."""
        return translated(error)

    @contextmanager
    def _index(self, name: str) -> Iterator[Index]:
        try:
            with self._lock:  # two threads that find the same index would lose one of the two
                client = self._opened()
                if name not in self._indexes:
                    self._indexes[name] = _unrepeating(client.index(self._index_name(name)))
                index = self._indexes[name]
            yield index
        except Exception as error:
            if isinstance(translated(error), CollectionNotFound):
                self._let_go(name)
                raise CollectionNotFound(name) from error
            raise

    def _let_go(self, name: str) -> None:
        with self._lock:
            index = self._indexes.pop(name, None)
        if index is not None:
            index.close()

    def _opened(self) -> Pinecone:
        with self._lock:
            if self._client is not None and self._owner == os.getpid():
                return self._client
            if not self._api_key:
                raise ProviderRejected("pinecone has no key; set plugins.pinecone.api_key")
            from pinecone import Pinecone, RetryConfig

            self._indexes.clear()
            self._client = Pinecone(
                api_key=self._api_key,
                host=self._host,
                timeout=self.timeout_seconds,
                retry_config=RetryConfig(max_retries=0),  # the engine retries, and tells
            )
            self._owner = os.getpid()
            return self._client

    def _index_name(self, name: str) -> str:
        plain = f"{self._prefix}-{name.replace('_', '-')}".rstrip("-")
        if len(plain) <= _LONGEST_NAME and not name.endswith("_") and "__" not in name:
            return plain
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        return f"{plain[: _LONGEST_NAME - 11].rstrip('-')}-{digest}"


def _unrepeating(index: Index) -> Index:
    """Have a data plane that repeats nothing by itself: the SDK tells it no such wish.

    Its own repetitions sleep as long as ``Retry-After`` says, on a worker's thread.
    """
    from pinecone import RetryConfig
    from pinecone._internal.constants import DATA_PLANE_API_VERSION
    from pinecone._internal.http_client import HTTPClient

    index._http.close()
    once = replace(index._config, retry_config=RetryConfig(max_retries=0))
    index._http = HTTPClient(once, DATA_PLANE_API_VERSION)
    return index


def _field(shape: Shape) -> dict[str, Any]:
    metric = _METRICS[shape.metric]
    return {"type": "dense_vector", "dimension": shape.dimension, "metric": metric}


def _vector(record: VectorRecord) -> dict[str, Any]:
    amounts = numbers(record.metadata)
    told = [EVERY, *facts(record.metadata), *(NUMBER + key for key in amounts)]
    metadata: dict[str, Any] = {
        "text": record.text,
        # As text: Pinecone keeps neither null nor what is nested.
        "metadata": json.dumps(dict(record.metadata), ensure_ascii=False),
        "facts": told,
    }
    metadata |= {f"n_{key}": float(value) for key, value in amounts.items()}
    values = [float(number) for number in record.vector]
    return {"id": _written(record.id), "values": values, "metadata": metadata}


def _match(metric: Metric, match: Any) -> Match:
    content = match.metadata
    score = float(match.score)
    if metric == "euclidean":
        score = 1 / (1 + max(score, 0.0) ** 0.5)
    return Match(_read(match.id), score, content["text"], json.loads(content["metadata"]))


def _written(record_id: str) -> str:
    if _PLAIN.fullmatch(record_id):
        return record_id
    return "~" + base64.urlsafe_b64encode(record_id.encode()).decode().rstrip("=")


def _read(written: str) -> str:
    if not written.startswith("~"):
        return written
    text = written[1:]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
