"""Settings of collections."""

from __future__ import annotations

from codex32_config.table import Table


class RetrievalSettings(Table):
    """What a new collection is made with."""

    embedder: str | None
    store: str | None
