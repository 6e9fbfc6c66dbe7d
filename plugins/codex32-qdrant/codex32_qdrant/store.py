"""The vector store ``qdrant``: a folder for one process, or a server by its URL."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex32 import (
    BlockingVectorStore,
    CollectionNotFound,
    Filter,
    IdPage,
    Match,
    Metric,
    ProviderUnavailable,
    Shape,
    Vector,
    VectorRecord,
    facts,
    numbers,
)
from codex32_qdrant.faults import translated
from codex32_qdrant.filters import qdrant_filter

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

_DISTANCES: dict[Metric, str] = {"cosine": "Cosine", "dot": "Dot", "euclidean": "Euclid"}
#: Points are called by UUIDs, made of the ids of records within this.
_IDS = uuid.UUID("5f0c3f4e-9a3e-4a57-8a3b-1f0c32c0de32")
_CONTENT = ["id", "text", "metadata"]


class QdrantVectorStore(BlockingVectorStore):
    """Collections of Qdrant; a folder is open in one process at a time, and read whole."""

    name = "qdrant"
    durable = True
    shared = True

    def __init__(
        self,
        *,
        folder: Path | None = None,
        url: str = "",
        api_key: str = "",
        timeout_seconds: float = 30.0,
    ) -> None:
        super().__init__()
        self.timeout_seconds = timeout_seconds
        self.shared = folder is None
        self._folder = folder
        self._url, self._api_key = url, api_key
        self._client: QdrantClient | None = None
        self._owner = 0
        self._held: int | None = None
        self._eased: set[str] = set()
        self._lock = threading.RLock()

    def find(self, name: str) -> Shape | None:
        """Read it from the collection's parameters."""
        from qdrant_client import models

        with self._using() as client:
            if not client.collection_exists(name):
                return None
            vectors = client.get_collection(name).config.params.vectors
        if not isinstance(vectors, models.VectorParams):
            raise TypeError("vectors of several names")
        metrics = {word: metric for metric, word in _DISTANCES.items()}
        return Shape(vectors.size, metrics[vectors.distance.value])

    def make(self, name: str, shape: Shape) -> None:
        """Make the collection, and the index that filters use; another may have been quicker."""
        from qdrant_client import models

        distance = models.Distance(_DISTANCES[shape.metric])
        with self._using() as client:
            try:
                client.create_collection(
                    name,
                    vectors_config=models.VectorParams(size=shape.dimension, distance=distance),
                )
            except Exception:
                if not client.collection_exists(name):
                    raise
            if self._folder is None:
                client.create_payload_index(
                    name, "facts", models.PayloadSchemaType.KEYWORD, wait=True
                )

    def write(self, name: str, shape: Shape, records: Sequence[VectorRecord]) -> None:
        """Upsert and wait for it."""
        from qdrant_client import models

        points = [
            models.PointStruct(
                id=_point(record.id),
                vector=[float(number) for number in record.vector],
                payload=_payload(record),
            )
            for record in records
        ]
        with self._using(name) as client:
            client.upsert(name, points, wait=True)

    def nearest(
        self, name: str, shape: Shape, vector: Vector, limit: int, where: Filter | None
    ) -> list[Match]:
        """Search; the score is a similarity but for Euclid, where it is the distance."""
        with self._using(name) as client:
            points = client.query_points(
                name,
                query=[float(number) for number in vector],
                limit=limit,
                query_filter=qdrant_filter(where) if where is not None else None,
                with_payload=_CONTENT,
            ).points
        return [_match(shape.metric, point) for point in points]

    def remove(self, name: str, ids: Sequence[str]) -> int:
        """Look which are there, then delete those."""
        from qdrant_client import models

        with self._using(name) as client:
            there = client.retrieve(
                name, [_point(one) for one in ids], with_payload=False, with_vectors=False
            )
            if there:
                selector = models.PointIdsList(points=[point.id for point in there])
                client.delete(name, selector, wait=True)
        return len(there)

    def page(self, name: str, after: str | None, limit: int) -> IdPage:
        """Scroll in the order of the points' UUIDs; ``after`` is where the next page begins."""
        with self._using(name) as client:
            points, following = client.scroll(
                name, limit=limit, offset=after, with_payload=["id"], with_vectors=False
            )
        ids = [str((point.payload or {})["id"]) for point in points]
        return IdPage(ids, None if following is None else str(following))

    def size(self, name: str) -> int:
        """Counted, not estimated."""
        with self._using(name) as client:
            return client.count(name, exact=True).count

    def drop(self, name: str) -> None:
        """Delete it, if it is there."""
        with self._using() as client:
            client.delete_collection(name)
            self._eased.discard(name)

    def shut(self) -> None:
        """Close the client; a folder may be opened by another process then."""
        with self._lock:
            client, self._client = self._client, None
            self._eased.clear()
            if client is not None and self._owner == os.getpid():
                client.close()
                if self._held is not None:
                    os.close(self._held)
                    self._held = None

    def fault(self, error: Exception) -> Exception:
        """What the client's exceptions mean."""
        return translated(error)

    @contextmanager
    def _using(self, collection: str | None = None) -> Iterator[QdrantClient]:
        client = self._opened()
        # A folder is plain lists in this process, which know nothing of threads.
        with self._lock if self._folder else _no_lock():
            try:
                if self._folder and collection is not None and collection not in self._eased:
                    _ease(client, collection)
                    self._eased.add(collection)
                yield client
            except Exception as error:
                if collection is not None and _is_missing(error):
                    raise CollectionNotFound(collection) from error
                raise

    def _hold(self, folder: Path) -> None:
        """Keep other processes out before Qdrant does, which leaves its own lock open then."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "codex32.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ProviderUnavailable(
                "the folder of Qdrant is open elsewhere; for several processes run a Qdrant "
                "server and set plugins.qdrant.url"
            ) from None
        self._held = descriptor

    def _opened(self) -> QdrantClient:
        with self._lock:
            if self._client is not None and self._owner == os.getpid():
                return self._client
            from qdrant_client import QdrantClient

            if self._folder:
                self._hold(self._folder)
                client = QdrantClient(path=str(self._folder), force_disable_check_same_thread=True)
            else:
                client = QdrantClient(
                    url=self._url,
                    api_key=self._api_key or None,
                    timeout=max(1, int(self.timeout_seconds)),
                    check_compatibility=False,
                )
            self._client, self._owner = client, os.getpid()
            return client


def _ease(client: QdrantClient, name: str) -> None:
    """Spare a sync of the disk for each point: a folder's file is committed point by point.

    What was committed still outlives the process; a power cut may take the last points.
    """
    collection: Any = client._client.collections.get(name)  # type: ignore[attr-defined]
    if collection is None or collection.storage is None:
        return
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
        collection.storage.storage.execute(f"PRAGMA {pragma}").fetchall()


@contextmanager
def _no_lock() -> Iterator[None]:
    yield


def _is_missing(error: Exception) -> bool:
    from qdrant_client.http.exceptions import UnexpectedResponse

    if isinstance(error, UnexpectedResponse):
        return error.status_code == 404
    return isinstance(error, ValueError) and "not found" in str(error)


def _point(record_id: str) -> str:
    return str(uuid.uuid5(_IDS, record_id))


def _payload(record: VectorRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "text": record.text,
        # As text: Qdrant's numbers are not JSON's.
        "metadata": json.dumps(dict(record.metadata), ensure_ascii=False),
        "facts": facts(record.metadata),
        "numbers": numbers(record.metadata),
    }


def _match(metric: Metric, point: Any) -> Match:
    content = point.payload
    score = float(point.score)
    if metric == "euclidean":
        score = 1 / (1 + score)
    return Match(content["id"], score, content["text"], json.loads(content["metadata"]))
