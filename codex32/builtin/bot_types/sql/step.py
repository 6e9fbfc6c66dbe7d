"""One statement on a database, in a transaction of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from codex32 import (
    JSON,
    BotType,
    Connection,
    Effect,
    Failed,
    Outcome,
    Problem,
    ProviderUnavailable,
    StepContext,
    StepFault,
    Succeeded,
    parse_size,
)
from codex32.builtin.bot_types.sql.session import (
    CUT,
    USUAL_PORT,
    Session,
    opened,
    sendable,
    too_much,
)
from codex32.builtin.bot_types.sql.text import Statement, TextFault, read

_TYPES = ("postgresql",)
#: Statements whose rows come in portions. Others (EXPLAIN, SHOW) give few.
_PORTIONED = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
_MAX_ROWS = 1000
_MAX_BYTES = "10MiB"
_FIRST_PORTION = 50
_PORTION_BYTES = 1 << 20
#: The step makes the transaction; what ends it early would leave half of a list.
_TRANSACTION = frozenset(
    {"ABORT", "BEGIN", "COMMIT", "END", "RELEASE", "ROLLBACK", "SAVEPOINT", "START"}
)
#: What a statement may use without being given it.
_OWN = "idempotency_key"


class SqlBotType(BotType):
    """Asks a database, or changes something in it.

    Without ``write`` the transaction only reads. With it, one that was not committed has left
    nothing; only where the answer to the commit itself is lost does nobody know.
    """

    name: ClassVar[str] = "sql"
    summary: ClassVar[str] = "Ask a PostgreSQL database, or change something in it."
    only_reads: ClassVar[bool] = True
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["connection", "query"],
        "properties": {
            "connection": {
                "type": "string",
                "format": "connection",
                "description": "A connection of the type postgresql, named in allow.connections.",
            },
            "query": {
                "type": "string",
                "minLength": 1,
                "description": "One statement. Values stand in it as :name, and never as an "
                "expression. :idempotency_key is the same in every try of the step.",
            },
            "params": {
                "type": ["object", "array"],
                "items": {"type": "object"},
                "description": "The values by name. With write, a list does the statement for "
                "each entry, all in one transaction.",
            },
            "write": {
                "type": "boolean",
                "description": "true for a statement that changes something; default false.",
            },
            "max_rows": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100_000,
                "description": "More rows fail the step; default 1000.",
            },
            "max_bytes": {
                "type": ["string", "integer"],
                "description": "More of JSON fails the step; default 10MiB.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "anyOf": [
            {"type": "array", "items": {"type": "object"}},
            {
                "type": "object",
                "properties": {
                    "changed": {"type": "integer"},
                    "rows": {"type": "array", "items": {"type": "object"}},
                },
                "required": ["changed"],
                "additionalProperties": False,
            },
        ]
    }

    def effect(self, params: Mapping[str, JSON]) -> Effect:
        """What ``write`` says."""
        return Effect.ONCE if params.get("write", False) else Effect.NONE

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """What can be told of the statement and its values."""
        query = params.get("query")
        if not isinstance(query, str):
            return ()
        if "${{" in query:
            message = "is no place for expressions; write :name there and the value in params"
            return [Problem(message, path="query", code="sql")]
        try:
            statement = read(query)
        except TextFault as fault:
            return [Problem(str(fault), path="query", code="sql")]
        faults = []
        if statement.verb in _TRANSACTION:
            message = f"{statement.verb} is not for a step, which makes its own transaction"
            faults.append(Problem(message, path="query", code="sql"))
        given = params.get("params", {})
        for row in given if isinstance(given, list) else [given]:
            if isinstance(row, Mapping):
                faults += _value_faults(statement, row)
        if isinstance(given, list) and params.get("write", False) is False:
            faults.append(Problem("a list needs write: true", path="params", code="conflict"))
        try:
            _size(params.get("max_bytes", _MAX_BYTES))
        except ValueError as error:
            faults.append(Problem(str(error), path="max_bytes", code="size"))
        return faults

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Do it in one transaction."""
        statement = read(params["query"])
        connection = await context.connection(params["connection"])
        if connection.type not in _TYPES:
            raise _of_another_type(connection)
        limit = Limit(params.get("max_rows", _MAX_ROWS), _bytes(params))
        given = params.get("params", {})
        sets = [
            _values(statement, row, context.step.idempotency_key)
            for row in (given if isinstance(given, list) else [given])
        ]
        address = await context.address(connection, USUAL_PORT)
        # The server is not to stop it before the engine does.
        seconds = int(context.seconds_left) + 5
        async with opened(connection, address, limit.bytes) as session:
            if not params.get("write", False):
                return Succeeded(await _ask(session, statement, sets[0], limit, seconds))
            await session.run(_begin("READ WRITE", seconds))
            changed, rows = await _change(session, statement, sets, limit)
            try:
                await session.run("COMMIT")
            except ProviderUnavailable as fault:
                if fault.fault_code != CUT:
                    raise
                message = f"{fault.message} before it told whether the change was committed"
                return Failed(message, retryable=True, unknown=True, code=CUT)
        return Succeeded({"changed": changed} | ({} if rows is None else {"rows": rows}))


class Limit:
    """How much a step may hand on."""

    def __init__(self, rows: int, size: int) -> None:
        self.rows, self.bytes = rows, size
        self._rows = self._bytes = 0

    def add(self, rows: Sequence[JSON]) -> None:
        """Count rows.

        Raises:
          StepFault: It is too much.
        """
        self._rows += len(rows)
        self._bytes += sum(len(json.dumps(row)) for row in rows)
        if self._rows > self.rows:
            raise StepFault(
                f"there are more than {self.rows} rows; ask for fewer (LIMIT), or raise max_rows",
                code="sql",
            )
        if self._bytes > self.bytes:
            raise too_much(self.bytes)

    def portion(self) -> int:
        """How many rows to take next: about a mebibyte, and at most one too many."""
        average = self._bytes / self._rows if self._rows else _PORTION_BYTES / _FIRST_PORTION
        fitting = int(_PORTION_BYTES / max(average, 1.0))
        return max(min(fitting, self.rows + 1 - self._rows), 1)


async def _ask(
    session: Session,
    statement: Statement,
    values: Mapping[str, Any],
    limit: Limit,
    seconds: int,
) -> list[dict[str, JSON]]:
    await session.run(_begin("READ ONLY", seconds))
    text = statement.pyformat()
    if statement.verb not in _PORTIONED:
        await session.run(text, values)
        rows = session.rows() or []
        limit.add(rows)
        return rows
    await session.run(f"DECLARE codex32_rows NO SCROLL CURSOR FOR {text}", values)
    found: list[dict[str, JSON]] = []
    while True:
        wanted = limit.portion()
        await session.run(f"FETCH FORWARD {wanted} FROM codex32_rows")
        rows = session.rows() or []
        limit.add(rows)
        found += rows
        if len(rows) < wanted:
            return found


async def _change(
    session: Session, statement: Statement, sets: Sequence[Mapping[str, Any]], limit: Limit
) -> tuple[int, list[dict[str, JSON]] | None]:
    """How many rows were changed, and what RETURNING gave."""
    text, changed = statement.pyformat(), 0
    found: list[dict[str, JSON]] | None = None
    for values in sets:
        await session.run(text, values)
        changed += session.changed
        rows = session.rows()
        if rows is not None:
            limit.add(rows)
            found = [*(found or ()), *rows]
    return changed, found


def _begin(mode: str, seconds: int) -> str:
    """The transaction, and how it tells values; as single commands, which poolers let through."""
    return (
        f"BEGIN {mode}; SET LOCAL standard_conforming_strings = on; "
        "SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'iso_8601'; "
        f"SET LOCAL timezone = 'UTC'; SET LOCAL statement_timeout = {seconds * 1000}"
    )


def _values(statement: Statement, row: Mapping[str, JSON], key: str) -> dict[str, Any]:
    if faults := _value_faults(statement, row):
        raise StepFault(f"{faults[0].path}: {faults[0].message}", code="sql")
    return {name: sendable(value) for name, value in ({_OWN: key} | dict(row)).items()}


def _value_faults(statement: Statement, row: Mapping[str, JSON]) -> list[Problem]:
    wanted = statement.names
    faults = [
        Problem(f"lacks {name}, which the query wants", path="params", code="missing")
        for name in wanted
        if name not in row and name != _OWN
    ]
    return faults + [
        Problem(f"the query has no :{name}", path=f"params.{name}", code="unknown")
        for name in row
        if name not in wanted
    ]


def _bytes(params: Mapping[str, JSON]) -> int:
    try:
        return _size(params.get("max_bytes", _MAX_BYTES))
    except ValueError as error:
        raise StepFault(f"max_bytes: {error}", code="size") from None


def _size(size: str | int) -> int:
    return size if isinstance(size, int) or "${{" in size else parse_size(size)  # type: ignore[return-value]


def _of_another_type(connection: Connection) -> StepFault:
    return StepFault(
        f"the connection {connection.name} is of the type {connection.type}; "
        f"sql speaks to: {', '.join(_TYPES)}",
        code="connection",
    )
