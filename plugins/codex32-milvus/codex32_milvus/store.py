"""The vector store ``milvus``: an embedded folder, or a server by its URI."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
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
    Shape,
    Vector,
    VectorRecord,
    facts,
    numbers,
)
from codex32_milvus.embedded import EmbeddedFolder
from codex32_milvus.faults import is_released, is_unreachable, translated
from codex32_milvus.filters import NUMBER, expression

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_METRICS: dict[Metric, str] = {"cosine": "COSINE", "dot": "IP", "euclidean": "L2"}
_CONTENT = ["id", "text", "metadata"]


class MilvusVectorStore(BlockingVectorStore):
    """Collections of Milvus, in a folder of this machine or on a server.

    A record's key is the digest of its id, so that no id ever stands in an expression.
    """

    name = "milvus"
    durable = True
    shared = True

    def __init__(
        self,
        *,
        folder: Path | None = None,
        uri: str = "",
        token: str = "",
        database: str = "",
        timeout_seconds: float = 60.0,
    ) -> None:
        super().__init__()
        self.timeout_seconds = timeout_seconds
        self._embedded = EmbeddedFolder(folder) if folder else None
        self._server = (uri, token, database)
        self._client: MilvusClient | None = None
        self._owner = 0
        self._loaded: set[str] = set()
        self._opening = threading.Lock()

    def find(self, name: str) -> Shape | None:
        """Read it from the collection's fields and index."""
        with self._using() as client:
            if not client.has_collection(name, **self._limit):
                return None
            fields = client.describe_collection(name, **self._limit)["fields"]
            (vector,) = (field for field in fields if field["name"] == "vector")
            index = client.describe_index(name, "vector", **self._limit)
        if index is None:  # whoever makes it is not ready
            return None
        metrics = {word: metric for metric, word in _METRICS.items()}
        return Shape(int(vector["params"]["dim"]), metrics[index["metric_type"]])

    def make(self, name: str, shape: Shape) -> None:
        """Make the collection with its index; another may have been quicker."""
        with self._using() as client:
            try:
                client.create_collection(
                    name,
                    schema=_schema(client, shape.dimension),
                    index_params=_index(client, shape.metric),
                    consistency_level="Strong",
                    **self._limit,
                )
            except Exception:
                if not client.has_collection(name, **self._limit):
                    raise

    def write(self, name: str, shape: Shape, records: Sequence[VectorRecord]) -> None:
        """Upsert; returned when it stands in the log."""
        rows = [_row(record) for record in records]
        with self._using(name) as client:
            client.upsert(name, rows, **self._limit)

    def nearest(
        self, name: str, shape: Shape, vector: Vector, limit: int, where: Filter | None
    ) -> list[Match]:
        """Search; ``distance`` is a similarity but for L2, where it is the square."""
        (hits,) = self._loaded_and(
            name,
            "search",
            data=[list(vector)],
            limit=limit,
            filter=expression(where) if where is not None else "",
            output_fields=_CONTENT,
            search_params={
                "metric_type": _METRICS[shape.metric],
                # How far the index looks: with less than the limit it finds fewer.
                "params": {"ef": max(2 * limit, 128)},
            },
        )
        return [_match(shape.metric, hit) for hit in hits]

    def remove(self, name: str, ids: Sequence[str]) -> int:
        """Look which are there, since Milvus counts what it was told, then delete those."""
        wanted = f"key in {json.dumps([_key(one) for one in ids])}"
        there = self._loaded_and(name, "query", filter=wanted, output_fields=["key"])
        if there:
            with self._using(name) as client:
                client.delete(name, filter=wanted, **self._limit)
        return len(there)

    def page(self, name: str, after: str | None, limit: int) -> IdPage:
        """In the order of keys, as Milvus' own iterator goes through a collection."""
        rows = self._loaded_and(
            name,
            "query",
            filter=f'key > "{after}"' if after else 'key != ""',
            output_fields=["key", "id"],
            limit=limit,
            iterator="True",
            reduce_stop_for_best="True",
        )
        rows = sorted(rows, key=lambda row: row["key"])
        return IdPage([row["id"] for row in rows], rows[-1]["key"] if len(rows) == limit else None)

    def size(self, name: str) -> int:
        """Counted, deleted and replaced rows left out."""
        (row,) = self._loaded_and(name, "query", filter="", output_fields=["count(*)"])
        return int(row["count(*)"])

    def drop(self, name: str) -> None:
        """Drop it, if it is there."""
        with self._using() as client:
            self._loaded.discard(name)
            if client.has_collection(name, **self._limit):
                client.drop_collection(name, **self._limit)

    def settle(self, name: str) -> None:
        """Seal what was written: rows that are not are compared one by one."""
        with self._using(name) as client:
            client.flush(name, **self._limit)

    def shut(self) -> None:
        """Close the connection, and let the keeper of an embedded folder end."""
        with self._opening:
            self._disconnect()
            if self._embedded:
                self._embedded.release()

    def fault(self, error: Exception) -> Exception:
        """What Milvus' codes and gRPC's statuses mean."""
        return translated(error)

    @property
    def _limit(self) -> dict[str, Any]:
        return {"timeout": self.timeout_seconds, "retry_on_rate_limit": False}

    def _loaded_and(self, name: str, method: str, **asked: Any) -> Any:
        """Ask a collection that has to be loaded, also if that is over since it was loaded here.

        It is where another keeper began anew, or somebody released it.
        """
        for last in (False, True):
            try:
                with self._using(name) as client:
                    ask = getattr(client, method)
                    return ask(name, consistency_level="Strong", **asked, **self._limit)
            except Exception as error:
                if last or not is_released(error):
                    raise
        raise AssertionError

    @contextmanager
    def _using(self, collection: str | None = None) -> Iterator[MilvusClient]:
        client = self._connected()
        try:
            if collection is not None and collection not in self._loaded:
                # After a restart a collection answers nothing before it was loaded.
                client.load_collection(collection, **self._limit)
                self._loaded.add(collection)
            yield client
        except Exception as error:
            if is_unreachable(error):
                with self._opening:
                    if client is self._client:
                        self._disconnect()
            elif collection is not None:
                self._loaded.discard(collection)
                if isinstance(translated(error), CollectionNotFound):
                    raise CollectionNotFound(collection) from error
            raise

    def _connected(self) -> MilvusClient:
        with self._opening:
            if self._client is not None and self._owner == os.getpid():
                return self._client
            from pymilvus import MilvusClient

            # It logs every fault with its traceback; the house tells each once, in its words.
            logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
            self._loaded.clear()
            uri, token, database = self._server
            if self._embedded:
                uri, token = self._embedded.connect(self.timeout_seconds)
            self._client = MilvusClient(
                uri=uri,
                token=token,
                db_name=database,
                dedicated=True,
                timeout=self.timeout_seconds,
            )
            # pymilvus repeats what failed until the time is over, and nobody learns that the
            # server is gone; this is where it asks what to do about a failure.
            self._client._handler._on_rpc_error = _give_up
            self._owner = os.getpid()
            return self._client

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        self._loaded.clear()
        if client is not None and self._owner == os.getpid():
            client.close()


def _give_up(error: Exception) -> bool:
    from grpc import RpcError

    if isinstance(error, RpcError):
        raise error
    return False


def _schema(client: MilvusClient, dimension: int) -> Any:
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, max_length=64, is_primary=True)
    schema.add_field("id", DataType.VARCHAR, max_length=256)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_field("text", DataType.VARCHAR, max_length=65_535)
    schema.add_field("metadata", DataType.VARCHAR, max_length=65_535)
    schema.add_field(
        "facts",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=1024,
        max_length=256,
    )
    schema.add_field("numbers", DataType.JSON)
    return schema


def _index(client: MilvusClient, metric: Metric) -> Any:
    parameters = client.prepare_index_params()
    parameters.add_index("vector", index_type="AUTOINDEX", metric_type=_METRICS[metric])
    return parameters


def _row(record: VectorRecord) -> dict[str, Any]:
    amounts = numbers(record.metadata)
    return {
        "key": _key(record.id),
        "id": record.id,
        "vector": list(record.vector),
        "text": record.text,
        "metadata": json.dumps(dict(record.metadata), ensure_ascii=False),
        "facts": [*facts(record.metadata), *(NUMBER + key for key in amounts)],
        "numbers": amounts,
    }


def _match(metric: Metric, hit: Any) -> Match:
    entity = hit["entity"]
    score = float(hit["distance"])
    if metric == "euclidean":
        score = 1 / (1 + max(score, 0.0) ** 0.5)
    return Match(entity["id"], score, entity["text"], json.loads(entity["metadata"]))


def _key(record_id: str) -> str:
    return hashlib.sha256(record_id.encode()).hexdigest()
