"""Vectors in Pinecone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Problem, VectorStore, hookimpl, unfit_numbers, unknown_settings

_KNOWN = ("api_key", "host", "cloud", "region", "prefix", "timeout_seconds")


@hookimpl
def register_vector_stores(config: Mapping[str, Any]) -> Iterable[VectorStore]:
    """Offer ``pinecone``."""
    from codex32_pinecone.store import PineconeVectorStore

    yield PineconeVectorStore(
        config.get("api_key") or "",
        host=config.get("host") or "https://api.pinecone.io",
        cloud=config.get("cloud") or "aws",
        region=config.get("region") or "us-east-1",
        prefix=config.get("prefix") or "codex32",
        timeout_seconds=float(config.get("timeout_seconds") or 60),
    )


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse what cannot be meant before a process starts with it."""
    yield from unknown_settings(config, _KNOWN)
    host = config.get("host")
    if host and not str(host).startswith(("https://", "http://127.0.0.1", "http://localhost")):
        yield Problem(f"{host!r} would send the key in the clear; write https://", "host")
    prefix = str(config.get("prefix") or "codex32")
    if not (prefix.isascii() and prefix.isalnum() and prefix == prefix.lower()):
        yield Problem(f"{prefix!r} is no prefix: small letters and digits", "prefix")
    elif len(prefix) > 12:
        yield Problem("a prefix has at most 12 characters", "prefix")
    yield from unfit_numbers(config, "timeout_seconds")
