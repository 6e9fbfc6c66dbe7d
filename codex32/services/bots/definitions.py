"""Stored versions as bots: each is read once a process, for it never changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from codex32.kernel.batches import one_of
from codex32.kernel.bot import Bot
from codex32.kernel.database import fetch
from codex32.kernel.errors import VersionNotFound
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import VersionRow


class Definitions:
    """Bots by version id, kept once they have been read.

    Args:
      read: Makes a bot of a stored document: ``Reader.from_document``.
      keep: Versions that are kept; the least recently used one goes first.
      keep_terms: Versions of which only the terms are kept; these are some 300 bytes each.
    """

    def __init__(
        self,
        read: Callable[[Mapping[str, JSON]], Bot],
        keep: int = 4096,
        keep_terms: int = 100_000,
    ) -> None:
        self._read = read
        self._kept = lru_cache(maxsize=keep)(self._load)
        self._numbers = lru_cache(maxsize=keep)(_number)
        self._terms: dict[str, Bot] = {}
        self._keep_terms = keep_terms

    def bot(self, version_id: str) -> Bot:
        """The bot at this version; reads a row where it was not asked for before.

        Raises:
          VersionNotFound: No version has this id.
          BotInvalid: What it needs is no longer installed.
        """
        return self._kept(version_id)

    def number(self, version_id: str) -> int:
        """Which of its bot's versions this one is.

        Raises:
          VersionNotFound: No version has this id.
        """
        return self._numbers(version_id)

    def bots(self, version_ids: Iterable[str]) -> dict[str, Bot | Exception]:
        """Like :meth:`bot` of each, with one query for all; what it would raise stands there."""
        wanted = set(version_ids)
        query = VersionRow.select(VersionRow.id, VersionRow.document)
        found: dict[str, Bot | Exception] = {key: VersionNotFound(key) for key in wanted}
        for version_id, document in fetch(query.where(one_of(VersionRow.id, wanted))):
            try:
                found[version_id] = self._read(loads(document))
            except Exception as error:  # of one version alone, whatever a plugin did
                found[version_id] = error
        return found

    def terms(self, version_id: str) -> Bot:
        """The bot without its steps: what must be known to start it, and is soon remembered.

        Raises:
          VersionNotFound: No version has this id.
          BotInvalid: What it needs is no longer installed.
        """
        found = self._terms.get(version_id)
        return self._remember(version_id, self._load(version_id)) if found is None else found

    def fetch_terms(self, version_ids: Iterable[str]) -> None:
        """Have :meth:`terms` at hand, with one query for all that are not."""
        missing = set(version_ids) - self._terms.keys()
        if not missing:
            return
        for version_id, bot in self.bots(missing).items():
            if isinstance(bot, Bot):  # whoever asks for another is told
                self._remember(version_id, bot)

    def _remember(self, version_id: str, bot: Bot) -> Bot:
        if len(self._terms) >= self._keep_terms:
            self._terms.pop(next(iter(self._terms)), None)
        terms = Bot(
            name=bot.name,
            steps=(),
            document={},
            inputs=bot.inputs,
            concurrency=bot.concurrency,
            priority=bot.priority,
        )
        self._terms[version_id] = terms
        return terms

    def _load(self, version_id: str) -> Bot:
        document = (
            VersionRow.select(VersionRow.document).where(VersionRow.id == version_id).scalar()
        )
        if document is None:
            raise VersionNotFound(version_id)
        return self._read(loads(document))


def _number(version_id: str) -> int:
    number = VersionRow.select(VersionRow.number).where(VersionRow.id == version_id).scalar()
    if number is None:
        raise VersionNotFound(version_id)
    return int(number)
