"""The vector store ``pgvector``: a table for each collection, in a schema of its own.

Tables are made when a collection is: a database that was handed over may lack the right to
migrations, and collections come and go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

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
from codex32_pgvector.connections import Connections
from codex32_pgvector.faults import translated
from codex32_pgvector.filters import condition

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_T = TypeVar("_T")
#: Operator and class of the index, by metric. Each operator gives a distance.
_OPERATORS: dict[Metric, tuple[str, str]] = {
    "cosine": ("<=>", "vector_cosine_ops"),
    "dot": ("<#>", "vector_ip_ops"),
    "euclidean": ("<->", "vector_l2_ops"),
}
#: pgvector indexes no longer vectors; they are compared one by one.
_INDEXED_DIMENSIONS = 2000
#: What building an index of some million vectors takes.
_INDEX_SECONDS = 3600.0
_MAKE = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.collections (
    name text PRIMARY KEY, dimension int NOT NULL, metric text NOT NULL
);
CREATE TABLE IF NOT EXISTS {table} (
    id text COLLATE "C" PRIMARY KEY,
    vector vector({dimension}) NOT NULL,
    text text NOT NULL,
    metadata json NOT NULL,
    facts text[] NOT NULL,
    numbers jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS {index}_facts ON {table} USING gin (facts);
"""
_WRITE = """
INSERT INTO {table} (id, vector, text, metadata, facts, numbers) VALUES %s
ON CONFLICT (id) DO UPDATE SET vector = excluded.vector, text = excluded.text,
    metadata = excluded.metadata, facts = excluded.facts, numbers = excluded.numbers
"""


class PgVectorStore(BlockingVectorStore):
    """Exact up to ``index_from`` records, with an HNSW index from the next flush on."""

    name = "pgvector"
    durable = True
    shared = True

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "codex32_vectors",
        index_from: int = 20_000,
        timeout_seconds: float = 30.0,
    ) -> None:
        super().__init__()
        self.timeout_seconds = timeout_seconds
        self.flush_seconds = _INDEX_SECONDS
        self._schema_name = schema
        self._index_from = index_from
        self._connections = Connections(dsn, timeout_seconds)

    def find(self, name: str) -> Shape | None:
        """Look it up among the collections; where there is no such table there is none."""
        from psycopg2 import errors

        sql = f"SELECT dimension, metric FROM {self._schema_name}.collections WHERE name = %s"  # noqa: S608

        def work(cursor: Cursor) -> Shape | None:
            cursor.execute(sql, (name,))
            row = cursor.fetchone()
            return Shape(*row) if row else None

        try:
            return self._connections.carry_out(work)
        except errors.UndefinedTable:
            return None

    def make(self, name: str, shape: Shape) -> None:
        """Make extension, schema and tables, one process at a time."""
        sql = _MAKE.format(
            schema=self._schema_name,
            table=self._table(name),
            index=f"c_{name}",
            dimension=shape.dimension,
        )

        def work(cursor: Cursor) -> None:
            self._in_turn(cursor)
            cursor.execute(sql)
            cursor.execute(
                f"INSERT INTO {self._schema_name}.collections VALUES (%s, %s, %s) "  # noqa: S608
                "ON CONFLICT DO NOTHING",
                (name, shape.dimension, shape.metric),
            )

        self._connections.carry_out(work)

    def write(self, name: str, shape: Shape, records: Sequence[VectorRecord]) -> None:
        """Write all of them in one transaction, in one order, so that writers never deadlock."""
        from psycopg2.extras import execute_values

        rows = [_row(record) for record in sorted(records, key=lambda record: record.id)]

        def work(cursor: Cursor) -> None:
            execute_values(cursor, _WRITE.format(table=self._table(name)), rows, page_size=250)

        self._carry_out(name, work)

    def nearest(
        self, name: str, shape: Shape, vector: Vector, limit: int, where: Filter | None
    ) -> list[Match]:
        """Order by distance; where there is an index, scan on until the filter has enough."""
        operator, _ = _OPERATORS[shape.metric]
        values: list[Any] = [_text(vector)]
        condition_sql = condition(where, values) if where is not None else "TRUE"
        sql = (
            f"SELECT id, text, metadata, vector {operator} %s::vector AS distance "  # noqa: S608
            f"FROM {self._table(name)} WHERE {condition_sql} ORDER BY distance LIMIT %s"
        )

        def work(cursor: Cursor) -> list[Match]:
            cursor.execute(
                "SELECT set_config('hnsw.ef_search', %s, true), "
                "set_config('hnsw.iterative_scan', 'strict_order', true)",
                (str(max(100, limit)),),
            )
            cursor.execute(sql, (*values, limit))
            return [
                Match(key, _score(shape.metric, distance), text, metadata)
                for key, text, metadata, distance in cursor.fetchall()
            ]

        return self._carry_out(name, work)

    def remove(self, name: str, ids: Sequence[str]) -> int:
        """Delete those that are there."""

        def work(cursor: Cursor) -> int:
            cursor.execute(f"DELETE FROM {self._table(name)} WHERE id = ANY(%s)", (list(ids),))  # noqa: S608
            return int(cursor.rowcount)

        return self._carry_out(name, work)

    def page(self, name: str, after: str | None, limit: int) -> IdPage:
        """In the order of the ids' bytes."""
        sql = f"SELECT id FROM {self._table(name)} WHERE id > %s ORDER BY id LIMIT %s"  # noqa: S608

        def work(cursor: Cursor) -> list[str]:
            cursor.execute(sql, (after or "", limit))
            return [key for (key,) in cursor.fetchall()]

        ids = self._carry_out(name, work)
        return IdPage(ids, ids[-1] if len(ids) == limit else None)

    def size(self, name: str) -> int:
        """Count the rows."""

        def work(cursor: Cursor) -> int:
            cursor.execute(f"SELECT count(*) FROM {self._table(name)}")  # noqa: S608
            row = cursor.fetchone()
            return int(row[0]) if row else 0

        return self._carry_out(name, work)

    def drop(self, name: str) -> None:
        """Drop the table, and the collection's row with it."""
        from psycopg2 import errors

        def work(cursor: Cursor) -> None:
            self._in_turn(cursor)
            cursor.execute(
                f"DELETE FROM {self._schema_name}.collections WHERE name = %s",  # noqa: S608
                (name,),
            )
            cursor.execute(f"DROP TABLE IF EXISTS {self._table(name)}")

        try:
            self._connections.carry_out(work)
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            return

    def settle(self, name: str) -> None:
        """Build the index once there are enough records; nobody waits for it to write."""
        shape = self.find(name)
        if shape is None:
            raise CollectionNotFound(name)
        if shape.dimension > _INDEXED_DIMENSIONS or self.size(name) < self._index_from:
            return
        _, operators = _OPERATORS[shape.metric]
        index = f"c_{name}_near"

        def work(cursor: Cursor) -> None:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (index,))
            if not (cursor.fetchone() or (False,))[0]:
                return  # another process builds it
            cursor.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)",
                (f"{self._schema_name}.{index}",),
            )
            if (there := cursor.fetchone()) and there[0]:
                return
            if there:  # it was cut off halfway
                cursor.execute(f"DROP INDEX {self._schema_name}.{index}")
            cursor.execute(
                f"CREATE INDEX CONCURRENTLY {index} ON {self._table(name)} "
                f"USING hnsw (vector {operators})"
            )

        self._connections.alone(work, _INDEX_SECONDS)

    def shut(self) -> None:
        """Close the connections."""
        self._connections.close()

    def fault(self, error: Exception) -> Exception:
        """What PostgreSQL's codes mean."""
        return translated(error)

    def _table(self, name: str) -> str:
        # Both are checked: the name by the house, the schema with the settings.
        return f"{self._schema_name}.c_{name}"

    def _in_turn(self, cursor: Cursor) -> None:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self._schema_name,))

    def _carry_out(self, name: str, work: Callable[[Cursor], _T]) -> _T:
        from psycopg2 import errors

        try:
            return self._connections.carry_out(work)
        except errors.UndefinedTable:
            raise CollectionNotFound(name) from None


def _row(record: VectorRecord) -> tuple[Any, ...]:
    return (
        record.id,
        _text(record.vector),
        record.text,
        json.dumps(dict(record.metadata), ensure_ascii=False),
        facts(record.metadata),
        json.dumps(numbers(record.metadata)),
    )


def _text(vector: Vector) -> str:
    return "[" + ",".join([repr(float(number)) for number in vector]) + "]"


def _score(metric: Metric, distance: float) -> float:
    if metric == "euclidean":
        return 1 / (1 + distance)
    return 1 - distance if metric == "cosine" else -distance
