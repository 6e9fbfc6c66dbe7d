"""Vector stores through the contract beside their own clients: 10,000 chunks written and found."""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import mul
from typing import Any

from benchmarks.figures import percentile
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32 import Vector, VectorRecord, VectorStore

DIMENSION = 384
BATCH = 500
LIMIT = 10
OURS, THEIRS = "bench_ours", "bench_theirs"


@dataclass(frozen=True, slots=True)
class Pair:
    """A store, and its own client over a collection of the same size."""

    store: VectorStore
    make: Callable[[], None]
    write: Callable[[Sequence[VectorRecord]], None]
    settle: Callable[[], None]
    find: Callable[[Vector], int]


def measure(
    servers: Servers, progress: Progress, *, chunks: int, queries: int
) -> dict[str, dict[str, Any]]:
    """Milliseconds for 500 written and ten found, ours and direct, and the overhead."""
    records = _records(chunks)
    asked = [record.vector for record in _records(queries, seed=7)]
    pairs = {"memory": _memory, "pgvector": _pgvector, "qdrant": _qdrant, "milvus": _milvus}
    found = {}
    for name, pair in pairs.items():
        with pair(servers) as both:
            found[name] = asyncio.run(_interleaved(both, records, asked))
        progress.tell(f"vectors in {name}: {found[name]}")
    return found


async def _interleaved(
    pair: Pair, records: Sequence[VectorRecord], asked: Sequence[Vector]
) -> dict[str, Any]:
    await pair.store.ensure_collection(OURS, dimension=DIMENSION, metric="cosine")
    pair.make()
    written: dict[str, list[float]] = {"ours": [], "direct": []}
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        began = time.perf_counter()
        await pair.store.upsert(OURS, batch)
        between = time.perf_counter()
        pair.write(batch)
        written["ours"].append(between - began)
        written["direct"].append(time.perf_counter() - between)
    await pair.store.flush(OURS)
    pair.settle()
    found: dict[str, list[float]] = {"ours": [], "direct": []}
    for number, vector in enumerate(asked):
        # Neither always comes second, where the caches are warm.
        for way in ("ours", "direct") if number % 2 else ("direct", "ours"):
            began = time.perf_counter()
            if way == "ours":
                count = len(await pair.store.query(OURS, vector, limit=LIMIT))
            else:
                count = pair.find(vector)
            found[way].append(time.perf_counter() - began)
            if count != LIMIT:
                raise RuntimeError(f"{way} found {count} of {LIMIT}")
    await pair.store.close()
    return {"upsert": _compared(written), "query": _compared(found)}


def _compared(seconds: dict[str, list[float]]) -> dict[str, float]:
    figures = {
        f"{way}_p{percent}_ms": round(percentile(samples, percent) * 1e3, 2)
        for way, samples in seconds.items()
        for percent in (50, 99)
    }
    ours, direct = (percentile(seconds[way], 50) for way in ("ours", "direct"))
    return {**figures, "overhead_percent": round((ours / direct - 1) * 100, 1)}


def _records(count: int, seed: int = 32) -> list[VectorRecord]:
    chance = random.Random(seed)
    return [
        VectorRecord(
            f"doc-{n:05}",
            [chance.gauss(0, 1) for _ in range(DIMENSION)],
            f"What stands in chunk {n}. " * 20,
            {"source": f"file-{n % 100}.md", "chunk": n, "heading": "Chapter > Section"},
        )
        for n in range(count)
    ]


@contextmanager
def _memory(servers: Servers) -> Iterator[Pair]:
    from codex32.builtin.fakes.memory_vector_store import MemoryVectorStore

    kept: list[tuple[list[float], VectorRecord]] = []

    def unit(vector: Vector) -> list[float]:
        length = math.hypot(*vector)
        return [number / length for number in vector]

    def find(vector: Vector) -> int:
        wanted = unit(vector)
        scored = ((sum(map(mul, wanted, other)), record) for other, record in kept)
        return len(heapq.nlargest(LIMIT, scored, key=lambda pair: pair[0]))

    yield Pair(
        MemoryVectorStore(),
        lambda: None,
        lambda batch: kept.extend((unit(record.vector), record) for record in batch),
        lambda: None,
        find,
    )


@contextmanager
def _pgvector(servers: Servers) -> Iterator[Pair]:
    import psycopg2

    from codex32_pgvector.store import PgVectorStore

    with servers.database("postgresql", servers.new_folder()) as url:
        store = PgVectorStore(url, timeout_seconds=120)
        connection = psycopg2.connect(url)
        try:
            yield Pair(store, *_direct_pgvector(connection))
        finally:
            store.shut()
            connection.close()


def _direct_pgvector(connection: Any) -> tuple[Any, ...]:
    from psycopg2.extras import execute_values

    def carry_out(sql: str, *values: Any) -> list[Any]:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def write(batch: Sequence[VectorRecord]) -> None:
        rows = [(r.id, str(list(r.vector)), r.text, json.dumps(r.metadata)) for r in batch]
        with connection, connection.cursor() as cursor:
            execute_values(
                cursor,
                "INSERT INTO theirs VALUES %s ON CONFLICT (id) DO UPDATE SET "
                "vector = excluded.vector, text = excluded.text, metadata = excluded.metadata",
                rows,
                page_size=250,
            )

    def make() -> None:
        carry_out("CREATE EXTENSION IF NOT EXISTS vector")
        carry_out(
            "CREATE TABLE theirs (id text PRIMARY KEY, vector vector(384), text text, "
            "metadata jsonb)"
        )
        carry_out("CREATE INDEX ON theirs USING gin (metadata jsonb_path_ops)")

    def find(vector: Vector) -> int:
        sql = (
            "SELECT id, text, metadata, vector <=> %s::vector AS distance FROM theirs "
            "ORDER BY distance LIMIT %s"
        )
        return len(carry_out(sql, str(list(vector)), LIMIT))

    return make, write, lambda: None, find


@contextmanager
def _qdrant(servers: Servers) -> Iterator[Pair]:
    import uuid

    from qdrant_client import models

    from codex32_qdrant.store import QdrantVectorStore

    store = QdrantVectorStore(folder=servers.folder / "qdrant", timeout_seconds=120)
    client = store._opened()

    def make() -> None:
        vectors = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
        client.create_collection(THEIRS, vectors_config=vectors)

    def write(batch: Sequence[VectorRecord]) -> None:
        points = [
            models.PointStruct(
                id=str(uuid.uuid5(uuid.NAMESPACE_URL, record.id)),
                vector=list(record.vector),
                payload={"id": record.id, "text": record.text, **record.metadata},
            )
            for record in batch
        ]
        client.upsert(THEIRS, points, wait=True)

    def find(vector: Vector) -> int:
        return len(client.query_points(THEIRS, query=list(vector), limit=LIMIT).points)

    try:
        yield Pair(store, make, write, lambda: None, find)
    finally:
        store.shut()


@contextmanager
def _milvus(servers: Servers) -> Iterator[Pair]:
    from pymilvus import DataType

    from codex32_milvus.store import MilvusVectorStore

    store = MilvusVectorStore(folder=servers.folder / "milvus", timeout_seconds=300)
    client = store._connected()

    def make() -> None:
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, max_length=256, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        schema.add_field("text", DataType.VARCHAR, max_length=65_535)
        schema.add_field("metadata", DataType.JSON)
        index = client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        client.create_collection(THEIRS, schema=schema, index_params=index)

    def write(batch: Sequence[VectorRecord]) -> None:
        rows = [
            {"id": r.id, "vector": list(r.vector), "text": r.text, "metadata": dict(r.metadata)}
            for r in batch
        ]
        client.upsert(THEIRS, rows)

    def find(vector: Vector) -> int:
        (hits,) = client.search(
            THEIRS,
            data=[list(vector)],
            limit=LIMIT,
            output_fields=["id", "text", "metadata"],
            search_params={"metric_type": "COSINE"},
        )
        return len(hits)

    try:
        yield Pair(store, make, write, lambda: client.flush(THEIRS), find)
    finally:
        store.shut()
