"""Many rows in one statement's cost: the two statements of the hot path, and picking by id.

On PostgreSQL the rows travel as one array a column through ``unnest`` (some 25 times the
rows of single statements), and what is the same in all of them travels once; on SQLite, inside
the one transaction, new rows as few statements of many rows, since each lets other threads have
Python meanwhile and then waits for it, and changes as repeated executions of a prepared statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import peewee as pw

from codex32.kernel.json_values import dumps
from codex32.kernel.models import Row, database_proxy


def any_of(column: str) -> str:
    """SQL that holds where ``column`` is among the values of one parameter, see :func:`listed`.

    The text is the same however many values there are, so both databases know it again.
    """
    if isinstance(database_proxy.obj, pw.SqliteDatabase):
        return f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own names
    return f"{column} = ANY(%s)"


def listed(values: Iterable[str]) -> Any:
    """The parameter of :func:`any_of`."""
    if isinstance(database_proxy.obj, pw.SqliteDatabase):
        return dumps(list(values))
    return list(values)


#: Of one statement at most; what SQLite itself takes was once 999.
_SQLITE_PARAMETERS = 900

_TYPES = {
    pw.TextField: "text",
    pw.BigIntegerField: "bigint",
    pw.IntegerField: "int",
    pw.BooleanField: "boolean",
}


def _type(field_: pw.Field) -> str:
    return next(name for kind, name in _TYPES.items() if type(field_) is kind)


def one_of(column: pw.Field, texts: Iterable[str]) -> pw.Expression:
    """Whether a column holds one of ``texts``, as a single parameter however many they are.

    ``column.in_`` makes an object of each, which costs more than looking its row up.
    """
    if isinstance(database_proxy.obj, pw.SqliteDatabase):
        among = pw.SQL("(SELECT value FROM json_each(?))", (listed(texts),))
        return pw.Expression(column, "IN", among)
    return pw.Expression(column, "=", pw.SQL("ANY(%s::text[])", (listed(texts),)))


class _Sent:
    """Rows as they travel to PostgreSQL: ``source`` gives those columns that differ.

    The driver would make a literal of every element of an array by itself, for half as much again
    as all else that a batch costs; so arrays are texts, as PostgreSQL writes them.

    Args:
      apart: How many columns, from the first, are arrays even where all rows have one value.

    Attributes:
      values: SQL of each column's value.
      source: What follows ``FROM``; empty where there is one row, which needs no array.
      parameters: Of ``values``, then of ``source``.
    """

    def __init__(
        self,
        row: type[Row],
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        apart: int,
    ) -> None:
        self.values: list[str] = []
        self.parameters: list[str | None] = []
        arrays: list[str] = []
        names: list[str] = []
        casts: list[str] = []
        for place, (name, values) in enumerate(zip(columns, zip(*rows, strict=True), strict=True)):
            field_ = row._meta.fields[name]
            cast, first = _type(field_), values[0]
            if place >= apart and values.count(first) == len(values):
                self.values.append(f"%s::{cast}")
                self.parameters.append(_alone(type(field_), first))
            else:
                self.values.append(f"v.v{place}")
                names.append(f"v{place}")
                casts.append(f"%s::{cast}[]")
                arrays.append(f"{{{','.join(map(_ELEMENTS[type(field_)], values))}}}")
        self.source = f"unnest({', '.join(casts)}) AS v({', '.join(names)})" if arrays else ""
        self.parameters += arrays


def _alone(kind: type[pw.Field], value: Any) -> str | None:
    return value if value is None or kind is pw.TextField else _ELEMENTS[kind](value)


def _text(value: str | None) -> str:
    if value is None:
        return "NULL"
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def _whole(value: int | None) -> str:
    return "NULL" if value is None else str(int(value))


def _truth(value: bool | None) -> str:
    return "NULL" if value is None else "tf"[not value]


_ELEMENTS: dict[type[pw.Field], Callable[[Any], str]] = {
    pw.TextField: _text,
    pw.BigIntegerField: _whole,
    pw.IntegerField: _whole,
    pw.BooleanField: _truth,
}


@dataclass(frozen=True)
class Insert:
    """Rows of one table, written together; a row whose key is there already is passed over.

    Args:
      row: The table.
      columns: In the order of the values; the other columns keep their defaults.
      replace: A row takes the place of one with its key, the last of those written together.
      fresh: A row whose key is there already is an error.
    """

    row: type[Row]
    columns: tuple[str, ...]
    replace: bool = False
    fresh: bool = False
    # What is made of the above is no part of what is compared or hashed.
    _key: tuple[int, ...] = field(init=False, default=(), compare=False)
    #: By the number of rows, which are powers of two.
    _sqlite: dict[int, str] = field(init=False, default_factory=dict, compare=False)
    #: With a place for the values of the rows, and where they come from.
    _postgresql: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        meta = self.row._meta
        names = ", ".join(self.columns)
        head = f"INSERT INTO {meta.table_name} ({names})"
        conflict = "" if self.fresh else "ON CONFLICT DO NOTHING"
        if self.replace:
            key = [f.name for f in meta.get_primary_keys()]
            object.__setattr__(self, "_key", tuple(self.columns.index(name) for name in key))
            rest = [c for c in self.columns if c not in key]
            sets = ", ".join(f"{c} = excluded.{c}" for c in rest)
            conflict = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"
        marks = f"({', '.join('?' for _ in self.columns)})"
        most = _SQLITE_PARAMETERS // len(self.columns)
        # Few texts, so that SQLite knows each again: any number is a sum of these.
        for count in (1 << power for power in range(most.bit_length())):
            values = ", ".join([marks] * count)
            self._sqlite[count] = f"{head} VALUES {values} {conflict}"
        object.__setattr__(self, "_postgresql", f"{head} SELECT %s {conflict}")

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write ``rows``, each with one value a column."""
        write_all((self, rows))

    def on_postgresql(self, rows: Sequence[Sequence[Any]]) -> tuple[str, list[str | None]]:
        """The statement that writes ``rows``, and its parameters."""
        if self.replace:  # PostgreSQL writes no row twice in one statement
            rows = list({tuple(row[i] for i in self._key): row for row in rows}.values())
        # Rows that are alike in everything are as many all the same.
        sent = _Sent(self.row, self.columns, rows, apart=min(len(rows) - 1, 1))
        values = ", ".join(sent.values)
        return self._postgresql % (
            f"{values} FROM {sent.source}" if sent.source else values
        ), sent.parameters

    def on_sqlite(self, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[Any]]]:
        """The statements that write ``rows``, each with its parameters."""
        start, most = 0, max(self._sqlite)
        while (left := len(rows) - start) > 0:
            count = min(1 << left.bit_length() - 1, most)
            yield self._sqlite[count], list(chain.from_iterable(rows[start : start + count]))
            start += count


def write_all(*inserts: tuple[Insert, Sequence[Sequence[Any]]]) -> None:
    """Write rows of several tables, on PostgreSQL in one round trip."""
    filled = [(insert, rows) for insert, rows in inserts if rows]
    if not filled:
        return
    if isinstance(database_proxy.obj, pw.SqliteDatabase):
        connection = database_proxy.connection()
        for insert, rows in filled:
            for statement, parameters in insert.on_sqlite(rows):
                connection.execute(statement, parameters)
        return
    sent = [insert.on_postgresql(rows) for insert, rows in filled]
    texts, values = zip(*sent, strict=True)
    database_proxy.defer(";".join(texts), list(chain.from_iterable(values)))


@dataclass(frozen=True)
class Update:
    """Rows of one table, changed together, each only where it still matches its keys.

    Args:
      row: The table, whose first key column is its id.
      keys: Columns that must equal the values given; the first identifies the row.
      columns: Columns that are set.
      kept: Those of them that stay as they are where the value is None.
      guard: SQL that must hold of the row as it is, too.
    """

    row: type[Row]
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    guard: str = ""
    kept: tuple[str, ...] = ()
    _sqlite: str = field(init=False, default="")
    #: What of the statement is the same for all rows: behind the values and their source.
    _postgresql: str = field(init=False, default="")

    def __post_init__(self) -> None:
        meta = self.row._meta
        table = meta.table_name
        guard = f" AND {self.guard}" if self.guard else ""
        sets = self._sets("?" for _ in self.columns)
        where = " AND ".join(f"{k} = ?" for k in self.keys)
        object.__setattr__(
            self,
            "_sqlite",
            f"UPDATE {table} SET {sets} WHERE {where}{guard}",  # noqa: S608 - our own names
        )
        mine = " AND ".join(f"{table}.{k} = v.v{i}" for i, k in enumerate(self.keys))
        object.__setattr__(
            self, "_postgresql", f"WHERE {mine}{guard} RETURNING {table}.{self.keys[0]}"
        )

    def _sets(self, values: Iterable[str]) -> str:
        """What columns are set to, with the SQL of each value."""
        table = self.row._meta.table_name
        return ", ".join(
            f"{name} = " + (f"COALESCE({value}, {table}.{name})" if name in self.kept else value)
            for name, value in zip(self.columns, values, strict=True)
        )

    def write(self, rows: Iterable[Sequence[Any]]) -> set[Any]:
        """Change ``rows``: values of ``columns``, then of ``keys``. The ids that matched.

        Of several with the same id the first counts.
        """
        # One order for all processes, so that two batches never wait for each other in a ring.
        first = len(self.columns)
        by_id: dict[Any, Sequence[Any]] = {}
        for row in rows:
            by_id.setdefault(row[first], row)
        ordered = [by_id[row_id] for row_id in sorted(by_id)]
        if not ordered:
            return set()
        if isinstance(database_proxy.obj, pw.SqliteDatabase):
            execute = database_proxy.connection().execute
            return {row[first] for row in ordered if execute(self._sqlite, row).rowcount}
        cursor = database_proxy.execute_sql(*self._on_postgresql(ordered))
        return {found[0] for found in cursor.fetchall()}

    def _on_postgresql(self, rows: Sequence[Sequence[Any]]) -> tuple[str, list[str | None]]:
        # Keys are never constants: where PostgreSQL sees one it may prefer an index that it
        # believes to be small to the rows' ids.
        count = len(self.columns)
        names, keys = self.keys + self.columns, len(self.keys)
        sent = _Sent(self.row, names, [(*row[count:], *row[:count]) for row in rows], apart=keys)
        sets = self._sets(sent.values[keys:])
        table = self.row._meta.table_name
        return (
            f"UPDATE {table} SET {sets} FROM {sent.source} {self._postgresql}",  # noqa: S608
            sent.parameters,
        )
