"""What was written and shall be stored, what came of it, and the rows that hold it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codex32.kernel.batches import Insert
from codex32.kernel.bot import Bot
from codex32.kernel.errors import BotInvalid, BotReadOnly
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import canonical, dumps
from codex32.kernel.models import BotRow, Row, VersionRow
from codex32.services.bots import provenance

#: Where definitions come from; what the builder makes belongs to the API.
FILE, API, BUILDER, RUN = "file", "api", "builder", "run"

# Thousands of files may come at once, and peewee's own inserts cost ten times as much.
_BOTS = Insert(BotRow, tuple(BotRow._meta.fields))
_VERSIONS = Insert(VersionRow, tuple(VersionRow._meta.fields))


@dataclass(frozen=True, slots=True)
class Written:
    """A checked definition, and where it comes from.

    Attributes:
      text: As it was written.
      origin: ``file``, ``api``, ``builder`` or ``run``.
      source: The file, for ``file`` and ``run``.
      digest: SHA-256 of the definition's canonical JSON.
      author: Who wrote it; empty for files, which tell nothing of that.
      message: What they said about it.
      owner: Whose the bot becomes where it is new; the author's by default.
      python_tests: pytest for its Python; None where nothing is said of it, so that what came
        with the version before stays.
    """

    bot: Bot
    text: str
    origin: str
    source: str | None
    document: str
    digest: str
    author: str = ""
    message: str = ""
    owner: str = ""
    python_tests: str | None = None

    @classmethod
    def of(
        cls,
        bot: Bot,
        text: str,
        origin: str,
        source: str | None = None,
        *,
        author: str = "",
        message: str = "",
        owner: str = "",
        python_tests: str | None = None,
    ) -> Written:
        """What was written, with its digest."""
        document = canonical(bot.document)
        digest = hashlib.sha256(document.encode()).hexdigest()
        by, said, whose = (storable(each) for each in (author, message, owner or author))
        tests = None if python_tests is None else storable(python_tests)
        shown = storable(text)
        return cls(bot, shown, origin, source, document, digest, by, said, whose, tests)

    def is_in(self, version: VersionRow) -> bool:
        """Whether a version is this already."""
        tests = self.python_tests
        same_tests = tests is None or tests == (version.python_tests or "")
        return same_tests and version.digest == self.digest


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of storing a definition.

    Attributes:
      number: The version that is live now; the stored one where that waits for approval.
      change: ``created changed restored moved waiting withdrawn …``, or None where nothing was
        to do.
      widens: What somebody has to approve, where it waits.
    """

    bot_id: str
    version_id: str
    number: int
    change: str | None
    widens: Sequence[str] = ()


def new_bot(written: Written, workspace: str, now: int) -> BotRow:
    """The row of a bot that was not there, to be written; it has no live version yet."""
    return BotRow(
        id=new_id("bot"),
        workspace=workspace,
        name=written.bot.name,
        origin=written.origin,
        source=written.source,
        owner=written.owner,
        enabled=written.bot.enabled,
        paused=False,
        created_at=now,
        updated_at=now,
        **shown(written.bot),
    )


def insert_bot(row: BotRow) -> None:
    """Write a bot's row."""
    _insert(_BOTS, row)


def new_version(
    row: BotRow,
    written: Written,
    now: int,
    *,
    former: VersionRow | None = None,
    widens: Sequence[str] | None = None,
    number: int | None = None,
) -> VersionRow:
    """Write a version of a bot.

    Args:
      row: The bot.
      written: What it shall be.
      now: Microseconds.
      former: The version that it comes after.
      widens: What somebody has to approve before it may be live; None where nobody has to.
      number: The next one where it is not told.
    """
    if number is None:
        mine = VersionRow.select(VersionRow.number).where(VersionRow.bot_id == row.id)
        number = (mine.order_by(VersionRow.number.desc()).limit(1).scalar() or 0) + 1
    tests = written.python_tests
    if tests is None and former is not None:
        tests = former.python_tests
    version = VersionRow(
        id=new_id("ver"),
        bot_id=row.id,
        number=number,
        digest=written.digest,
        document=written.document,
        text=written.text,
        origin=written.origin,
        source=written.source,
        author=written.author,
        message=written.message,
        python_tests=tests,
        widens=None if widens is None else dumps(list(widens)),
        created_at=now,
    )
    _insert(_VERSIONS, version)
    provenance.remember(row.workspace, version, written.bot.document)
    return version


def shown(bot: Bot) -> dict[str, Any]:
    """What a bot's row repeats of its live version, for lists."""
    return {
        "description": storable(bot.description),
        "labels": canonical(dict(bot.labels)),
        "alerts_only": not bot.steps,
    }


def storable(text: str) -> str:
    """A text that both databases take, for showing; definitions keep theirs as JSON."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


def check_owner(row: BotRow, written: Written) -> None:
    """Files and the API do not take bots from each other while these are there.

    Raises:
      BotReadOnly: It belongs to a file, and the API would change it.
      BotInvalid: It belongs to the API, and a file would change it.
    """
    if row.removed_at is not None or RUN in (row.origin, written.origin):
        return
    if row.origin == FILE and written.origin != FILE:
        raise BotReadOnly(row.name, row.source)
    if row.origin != FILE and written.origin == FILE:
        raise BotInvalid(f"a bot {row.name!r} was made through the API; delete it there first", ())


def _insert(into: Insert, row: Row) -> None:
    into.write([tuple(getattr(row, name) for name in into.columns)])
