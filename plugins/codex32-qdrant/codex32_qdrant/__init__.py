"""Vectors in Qdrant: in a folder for one process, or on a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from codex32 import Problem, VectorStore, hookimpl, unfit_numbers, unknown_settings

_KNOWN = ("folder", "url", "api_key", "timeout_seconds")


@hookimpl
def register_vector_stores(config: Mapping[str, Any]) -> Iterable[VectorStore]:
    """Offer ``qdrant``."""
    from codex32_qdrant.store import QdrantVectorStore

    url = config.get("url") or ""
    yield QdrantVectorStore(
        folder=None if url else Path(config.get("folder") or ".codex32/qdrant"),
        url=url,
        api_key=config.get("api_key") or "",
        timeout_seconds=float(config.get("timeout_seconds") or 30),
    )


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse what cannot be meant before a process starts with it."""
    yield from unknown_settings(config, _KNOWN)
    url = config.get("url")
    if url and not str(url).startswith(("http://", "https://")):
        yield Problem(f"{url!r} is no address; write for example http://qdrant:6333", "url")
    if url and config.get("folder"):
        yield Problem("give the url of a server or a folder, not both", "folder")
    if config.get("api_key") and not url:
        yield Problem("a key is for a server, whose url is not given", "api_key")
    yield from unfit_numbers(config, "timeout_seconds")
