"""Finding out what is there before a stage begins, and which values no model may be told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from codex32.engine.reading.document import read_documents
from codex32.kernel.bot import Allow, Bot
from codex32.kernel.components import Components
from codex32.kernel.database import Door, fetch
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.masking import Masker
from codex32.kernel.models import BotRow, VersionRow
from codex32.kernel.problems import sort_problems
from codex32.kernel.retrieval_rows import CollectionRow
from codex32.kernel.safe_rows import ConnectionRow, SecretRow
from codex32.kernel.text import file_told
from codex32.services.bots.definitions import Definitions
from codex32.services.building.faults import SecretsWritten
from codex32.services.building.known import Known
from codex32.services.building.session import Session
from codex32.services.cases.python_tests import python_test_file
from codex32.services.explaining.recipients import addresses_in, apart, recipients_of
from codex32.services.safe import secrets

#: What helps where a secret is written out.
_WRITE: Final = (
    "this is a secret, or is called one: keep it with `codex32 secrets set NAME`, permit NAME in "
    "allow.secrets, and write ${{ secrets.NAME }}; what is none is worded otherwise"
)
#: Bytes of pytest that are taken along.
_LARGEST: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Names:
    secrets: frozenset[str]
    connections: frozenset[str]
    bots: frozenset[str]
    collections: frozenset[str]


@dataclass
class Workshop:
    """What there is to build with.

    Attributes:
      values: What no model may be told: the values of a workspace's secrets, by its name and
        theirs, and of those that its installation keeps for it.
    """

    door: Door
    components: Components
    definitions: Definitions
    values: Callable[[str, Iterable[str]], Awaitable[Sequence[str]]]

    async def listener(self, workspace: str) -> Known:
        """Hears what somebody says without the secrets that their workspace has or uses."""
        names, masker = await self._known(workspace)
        return Known(self.components, names.secrets, masker=masker)

    async def known(self, workspace: str, version_id: str | None) -> Known:
        """What a draft may name that comes after this version; None for one of a new bot.

        Raises:
          SecretsWritten: No model may be told of the version.
        """
        names, masker = await self._known(workspace)
        allow, told, mentioned = Allow(), frozenset[str](), frozenset[str]()
        if version_id is not None:
            bot = await self.door.read(self.definitions.bot, version_id)
            allow, told, mentioned = bot.allow, _told(bot), _mentioned(bot)
        known = Known(
            self.components,
            names.secrets,
            names.connections,
            names.bots,
            names.collections,
            allow,
            told,
            mentioned,
            masker,
        )
        if version_id is not None:
            version = await self.door.read(VersionRow.get_by_id, version_id)
            await asyncio.to_thread(_no_secrets, version, known)
        return known

    async def base(self, session: Session) -> VersionRow | None:
        """The version that is refined."""
        look: Callable[[], VersionRow | None] = partial(
            VersionRow.get_or_none, VersionRow.id == session.base_version_id
        )
        return None if session.base_version_id is None else await self.door.read(look)

    async def python_tests(self, version: VersionRow) -> str:
        """The pytest for a version's Python; a file's lies beside it, where that is here."""
        if version.python_tests or version.source is None:
            return version.python_tests or ""
        return await asyncio.to_thread(_beside, Path(version.source))

    async def _known(self, workspace: str) -> tuple[_Names, Masker]:
        names = await self.door.read(_names, workspace)
        masker = Masker()
        masker.add(*await self.values(workspace, names.secrets))
        return names, masker


def _beside(bot_file: Path) -> str:
    """The test file that is meant by a bot file's name; empty where none can be read."""
    try:
        file = bot_file.with_name(python_test_file(bot_file.name))
        return file.read_text(encoding="utf-8") if file.stat().st_size <= _LARGEST else ""
    except (OSError, ValueError):
        return ""


def _no_secrets(version: VersionRow, known: Known) -> None:
    """Nobody wrote a secret into a bot's file, which goes into prompts as it is."""
    document = loads(version.document)
    found = list(known.written_in(document))
    if not found:
        return
    name = document["name"]
    written = read_documents(version.text, file=file_told(version.source))
    mine = next((each for each in written if _is_called(each.value, name)), written[0])
    problems = [mine.problem(each.path, _WRITE, "secret", offset=each.offset) for each in found]
    raise SecretsWritten(name, sort_problems(problems))


def _is_called(value: JSON, name: str) -> bool:
    return isinstance(value, dict) and value.get("name") == name


def _told(bot: Bot) -> frozenset[str]:
    """Whom a bot tells, and every mail address that it works with."""
    told = recipients_of(bot)
    written = {text for each in told for text in (each.target, *each.written)}
    written |= {each.via for each in told if "${{" in each.via}
    addresses = addresses_in(apart(bot.document)[0])
    return frozenset(each.strip().lower() for each in (*written, *addresses))


def _mentioned(bot: Bot) -> frozenset[str]:
    return frozenset(each.lower() for each in addresses_in(apart(bot.document)[1]))


def _names(workspace: str) -> _Names:
    def of(row: type[SecretRow | ConnectionRow | CollectionRow]) -> frozenset[str]:
        return frozenset(
            name for (name,) in fetch(row.select(row.name).where(row.workspace == workspace))
        )

    there = (BotRow.workspace == workspace) & BotRow.removed_at.is_null()
    return _Names(
        secrets=of(SecretRow) | frozenset(secrets.wanted(workspace=workspace)),
        connections=of(ConnectionRow),
        bots=frozenset(name for (name,) in fetch(BotRow.select(BotRow.name).where(there))),
        collections=of(CollectionRow),
    )
