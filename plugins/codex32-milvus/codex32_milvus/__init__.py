"""Vectors in Milvus: embedded in a folder by default, or on a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from codex32 import Problem, VectorStore, hookimpl, unfit_numbers, unknown_settings

_KNOWN = ("folder", "uri", "token", "database", "timeout_seconds")


@hookimpl
def register_vector_stores(config: Mapping[str, Any]) -> Iterable[VectorStore]:
    """Offer ``milvus``."""
    from codex32_milvus.store import MilvusVectorStore

    uri = config.get("uri") or ""
    yield MilvusVectorStore(
        folder=None if uri else Path(config.get("folder") or ".codex32/milvus"),
        uri=uri,
        token=config.get("token") or "",
        database=config.get("database") or "",
        timeout_seconds=float(config.get("timeout_seconds") or 60),
    )


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse what cannot be meant before a process starts with it."""
    yield from unknown_settings(config, _KNOWN)
    uri = config.get("uri")
    if uri and not str(uri).startswith(("http://", "https://")):
        yield Problem(f"{uri!r} is no address; write for example http://milvus:19530", "uri")
    if uri and config.get("folder"):
        yield Problem("give the uri of a server or a folder, not both", "folder")
    if config.get("token") and not uri:
        yield Problem("a token is for a server, whose uri is not given", "token")
    yield from unfit_numbers(config, "timeout_seconds")
