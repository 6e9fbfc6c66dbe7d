"""Stored versions as bots: each is read once a process, for it never changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from codex32.kernel.bot import Bot
from codex32.kernel.errors import VersionNotFound
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import VersionRow


class Definitions:
    """Bots by version id, kept once they have been read.

    Args:
      read: Makes a bot of a stored document: ``Reader.from_document``.
      keep: Versions that are kept; the least recently used one goes first.
    """

    def __init__(self, read: Callable[[Mapping[str, JSON]], Bot], keep: int = 4096) -> None:
        self._read = read
        self._kept = lru_cache(maxsize=keep)(self._load)

    def bot(self, version_id: str) -> Bot:
        """The bot at this version; reads a row where it was not asked for before.

        Raises:
          VersionNotFound: No version has this id.
          BotInvalid: What it needs is no longer installed.
        """
        return self._kept(version_id)

    def _load(self, version_id: str) -> Bot:
        document = (
            VersionRow.select(VersionRow.document).where(VersionRow.id == version_id).scalar()
        )
        if document is None:
            raise VersionNotFound(version_id)
        return self._read(loads(document))
