"""Embeddings without a key and without a network: all-MiniLM-L6-v2 on the processor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codex32 import Embedder, Problem, hookimpl


@hookimpl
def register_embedders(config: Mapping[str, Any]) -> Iterable[Embedder]:
    """Offer ``minilm``; ``plugins.minilm.path`` names a folder with the weights."""
    from codex32_minilm.embedder import MiniLM

    return [MiniLM(config.get("path"))]


@hookimpl
def check_config(config: Mapping[str, Any]) -> Iterable[Problem]:
    """Name what is wrong in the settings, with its path."""
    for key, value in config.items():
        if key != "path":
            yield Problem("there is no such setting; the only one is path", key)
        elif value is not None and not isinstance(value, str):
            yield Problem(f"write the folder that holds model.safetensors, not {value!r}", key)
