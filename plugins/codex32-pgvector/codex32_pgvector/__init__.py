"""Vectors in PostgreSQL with the extension pgvector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Problem, VectorStore, hookimpl, unfit_numbers, unknown_settings

_KNOWN = ("dsn", "schema", "index_from", "timeout_seconds")


@hookimpl
def register_vector_stores(config: Mapping[str, Any]) -> Iterable[VectorStore]:
    """Offer ``pgvector``."""
    from codex32_pgvector.store import PgVectorStore

    yield PgVectorStore(
        config.get("dsn") or "",
        schema=config.get("schema") or "codex32_vectors",
        index_from=int(config.get("index_from") or 20_000),
        timeout_seconds=float(config.get("timeout_seconds") or 30),
    )


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse what cannot be meant before a process starts with it."""
    yield from unknown_settings(config, _KNOWN)
    dsn = config.get("dsn")
    if dsn and not str(dsn).startswith(("postgresql://", "postgres://")):
        yield Problem("write postgresql://USER:PASSWORD@HOST:PORT/NAME", "dsn")
    schema = config.get("schema")
    if schema and not (str(schema).isascii() and str(schema).replace("_", "a").isalnum()):
        yield Problem(f"{schema!r} names no schema: letters, digits and _", "schema")
    yield from unfit_numbers(config, "timeout_seconds", "index_from")
