"""Vectors in PostgreSQL with the extension pgvector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Problem, VectorStore, did_you_mean, hookimpl

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
    for key in config:
        if key not in _KNOWN:
            yield Problem(f"pgvector has no setting {key!r}{did_you_mean(key, _KNOWN)}", key)
    dsn = config.get("dsn")
    if dsn and not str(dsn).startswith(("postgresql://", "postgres://")):
        yield Problem("write postgresql://USER:PASSWORD@HOST:PORT/NAME", "dsn")
    schema = config.get("schema")
    if schema and not (str(schema).isascii() and str(schema).replace("_", "a").isalnum()):
        yield Problem(f"{schema!r} names no schema: letters, digits and _", "schema")
    for key in ("timeout_seconds", "index_from"):
        value = config.get(key)
        if value is not None and not (isinstance(value, int | float) and value > 0):
            yield Problem(f"{value!r} is no number above 0", key)
