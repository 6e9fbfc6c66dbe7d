"""The registry of bots: versions, which one is live, and who may change it.

Every change of a definition is a new immutable version. What writes takes the registry's lock,
compares digests inside the transaction, and so does nothing when another process was first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from codex32.engine import gates
from codex32.kernel.batches import Insert
from codex32.kernel.bot import Bot
from codex32.kernel.clock import from_micros
from codex32.kernel.database import announce
from codex32.kernel.errors import (
    BotInvalid,
    BotNotFound,
    BotReadOnly,
    Codex32Error,
    VersionNotFound,
)
from codex32.kernel.events import BotChanged, BotFailed, BotRecovered
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import canonical, dumps
from codex32.kernel.models import BotRow, Row, VersionRow
from codex32.kernel.problems import Problem
from codex32.services import schedules
from codex32.services.definitions import Definitions
from codex32.services.schedules import TriggerTypes

FILE, API, RUN = "file", "api", "run"

# Thousands of files may come at once, and peewee's own inserts cost ten times as much.
_BOTS = Insert(BotRow, tuple(BotRow._meta.fields))
_VERSIONS = Insert(VersionRow, tuple(VersionRow._meta.fields))


@dataclass(frozen=True, slots=True)
class Written:
    """A checked definition, and where it comes from.

    Attributes:
      text: As it was written.
      origin: ``file``, ``api`` or ``run``.
      source: The file, for ``file`` and ``run``.
      digest: SHA-256 of the definition's canonical JSON.
    """

    bot: Bot
    text: str
    origin: str
    source: str | None
    document: str
    digest: str

    @classmethod
    def of(cls, bot: Bot, text: str, origin: str, source: str | None = None) -> Written:
        """What was written, with its digest."""
        document = canonical(bot.document)
        digest = hashlib.sha256(document.encode()).hexdigest()
        return cls(bot, text, origin, source, document, digest)


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of storing a definition.

    Attributes:
      number: The version that is live now.
      change: ``created``, ``changed``, ``restored``, ``moved``, or None where nothing was to do.
    """

    bot_id: str
    version_id: str
    number: int
    change: str | None


class Registry:
    """Writes bots and versions; its methods are called through ``Door.write``.

    Args:
      types: The installed trigger types, which know the next times.
      definitions: Stored versions as bots.
    """

    def __init__(self, types: TriggerTypes, definitions: Definitions) -> None:
        self._types, self._definitions = types, definitions

    def store(self, written: Written, now: int, *, workspace: str = "default") -> Stored:
        """Make ``written`` the live version of its bot, unless it is that already.

        Raises:
            BotReadOnly: The bot belongs to a file, and the API would change it.
        BotInvalid: The bot belongs to the API, and a file would change it.
        """
        (answer,) = self.store_many([written], now, workspace=workspace)
        if isinstance(answer, Codex32Error):
            raise answer
        return answer

    def store_many(
        self, items: Sequence[Written], now: int, *, workspace: str = "default"
    ) -> list[Stored | Codex32Error]:
        """Store several, of different names, each as :meth:`store` would; faults are returned."""
        gates.lock("registry")
        names = [item.bot.name for item in items]
        known = BotRow.select().where((BotRow.workspace == workspace) & BotRow.name.in_(names))
        rows = {row.name: row for row in known}
        answers: list[Stored | Codex32Error] = []
        for item in items:
            row = rows.get(item.bot.name)
            try:
                if row is None:
                    answers.append(self._create(item, workspace, now))
                else:
                    answers.append(self._change(row, item, now))
            except Codex32Error as error:
                answers.append(error)
        return answers

    def _create(self, written: Written, workspace: str, now: int) -> Stored:
        row = _new_row(written, workspace, now)
        version = _new_version(row, written, now, number=1)
        row.active_version_id = version.id
        _insert(_BOTS, row)
        if written.origin != RUN:
            live = written.bot.enabled
            schedules.reconcile(row.id, written.bot, self._types, now, live=live, known=())
        _tell(row.name, "created", 1, now)
        return Stored(row.id, version.id, 1, "created")

    def _change(self, row: BotRow, written: Written, now: int) -> Stored:
        _check_owner(row, written)
        active = _version(row.active_version_id)
        kept = active is not None and written.digest in (active.digest, row.pinned_digest)
        if active is None or not kept:
            version = _new_version(row, written, now)
            return self._activate(row, version, written, "changed" if active else "created", now)
        refreshed = self._refresh(row, written, active, now)
        return Stored(row.id, active.id, active.number, refreshed)

    def keep(self, written: Written, now: int, *, workspace: str = "default") -> Stored:
        """Store ``written`` as a version that is not live, for one execution: ``codex32 run``.

        A bot that is not there is made, without triggers; a definition that was stored before
        keeps its version.
        """
        gates.lock("registry")
        row = _row(written.bot.name, workspace)
        if row is None:
            row = _new_row(written, workspace, now)
            _insert(_BOTS, row)
        same = (VersionRow.bot_id == row.id) & (VersionRow.digest == written.digest)
        version = VersionRow.select().where(same).order_by(VersionRow.number.desc()).first()
        if version is None:
            version = _new_version(row, written, now)
        if row.origin == RUN:
            BotRow.update(
                active_version_id=version.id, source=written.source, updated_at=now
            ).where(BotRow.id == row.id).execute()
        return Stored(row.id, version.id, version.number, None)

    def fail(
        self,
        name: str,
        source: str,
        problems: Sequence[Problem],
        now: int,
        *,
        workspace: str = "default",
    ) -> bool:
        """Note that a bot's file has faults; its live version stays. Whether that is news.

        The faults of a file that would take a bot from another owner are not noted at the bot.
        """
        gates.lock("registry")
        text = dumps([problem.as_dict() for problem in problems])
        row = _row(name, workspace)
        if row is None:
            row = BotRow(
                id=new_id("bot"), workspace=workspace, name=name, origin=FILE, source=source,
                problems=text, created_at=now, updated_at=now,
            )  # fmt: skip
            _insert(_BOTS, row)
        elif row.origin != FILE or row.source != source or row.problems == text:
            return False
        else:
            BotRow.update(problems=text, updated_at=now).where(BotRow.id == row.id).execute()
        told = tuple(str(problem) for problem in problems)
        announce(BotFailed(at=from_micros(now), bot=name, source=source, problems=told))
        return True

    def remove(self, name: str, now: int, *, origin: str, workspace: str = "default") -> bool:
        """Disable a bot whose file is gone, or that the API deletes; its history stays.

        Raises:
          BotNotFound: There is no such bot.
          BotReadOnly: It does not belong to ``origin``.
        """
        gates.lock("registry")
        row = get(name, workspace=workspace)
        if row.removed_at is not None:
            return False
        if origin == API and row.origin == FILE:
            raise BotReadOnly(name, row.source or "")
        BotRow.update(enabled=False, removed_at=now, problems=None, updated_at=now).where(
            BotRow.id == row.id
        ).execute()
        schedules.switch_off(row.id)
        _tell(name, "removed", None, now)
        return True

    def rollback(self, name: str, number: int, now: int, *, workspace: str = "default") -> Stored:
        """Make an older version live; it holds until the file changes again.

        Raises:
          BotNotFound: There is no such bot.
          VersionNotFound: It has no version of this number.
        """
        gates.lock("registry")
        row = get(name, workspace=workspace)
        version = find_version(row, number)
        active = _version(row.active_version_id)
        pinned = row.pinned_digest
        if row.origin == FILE and pinned is None and active is not None:
            pinned = active.digest
        bot = self._definitions.bot(version.id)
        BotRow.update(
            active_version_id=version.id,
            pinned_digest=None if pinned == version.digest else pinned,
            enabled=bot.enabled and row.removed_at is None,
            updated_at=now,
        ).where(BotRow.id == row.id).execute()
        live = bot.enabled and row.removed_at is None
        schedules.reconcile(row.id, bot, self._types, now, live=live)
        _tell(name, "rolled back", version.number, now)
        return Stored(row.id, version.id, version.number, "rolled back")

    def _activate(
        self, row: BotRow, version: VersionRow, written: Written, change: str, now: int
    ) -> Stored:
        BotRow.update(
            origin=written.origin,
            source=written.source,
            enabled=written.bot.enabled,
            active_version_id=version.id,
            pinned_digest=None,
            problems=None,
            removed_at=None,
            updated_at=now,
        ).where(BotRow.id == row.id).execute()
        live = written.bot.enabled and written.origin != RUN
        schedules.reconcile(row.id, written.bot, self._types, now, live=live)
        _tell_recovery(row, now)
        _tell(row.name, change, version.number, now)
        return Stored(row.id, version.id, version.number, change)

    def _refresh(self, row: BotRow, written: Written, active: VersionRow, now: int) -> str | None:
        """The definition is the one that is live (or pinned over); its place may be new."""
        change = None
        if row.pinned_digest is not None and active.digest == written.digest:
            BotRow.update(pinned_digest=None).where(BotRow.id == row.id).execute()
        if row.removed_at is not None or row.problems is not None:
            change = "restored"
        elif (row.origin, row.source) != (written.origin, written.source):
            change = "moved"
        if change is not None:
            bot = written.bot
            if active.digest != written.digest:
                bot = self._definitions.bot(active.id)
            BotRow.update(
                origin=written.origin,
                source=written.source,
                enabled=bot.enabled,
                problems=None,
                removed_at=None,
                updated_at=now,
            ).where(BotRow.id == row.id).execute()
            live = bot.enabled and written.origin != RUN
            schedules.reconcile(row.id, bot, self._types, now, live=live)
            _tell_recovery(row, now)
            _tell(row.name, change, active.number, now)
        return change


def get(name: str, *, workspace: str = "default") -> BotRow:
    """The row of a bot, removed or not.

    Raises:
      BotNotFound: There is none; the nearest name is suggested.
    """
    row = _row(name, workspace)
    if row is None:
        rows = BotRow.select(BotRow.name).where(BotRow.removed_at.is_null())
        raise BotNotFound(name, [each.name for each in rows])
    return row


def pause(name: str, now: int, *, paused: bool = True, workspace: str = "default") -> BotRow:
    """Let no trigger start the bot until it is resumed (``paused=False``); people still may.

    Raises:
      BotNotFound: There is no such bot.
    """
    row = get(name, workspace=workspace)
    if row.paused != paused:
        BotRow.update(paused=paused, updated_at=now).where(BotRow.id == row.id).execute()
        _tell(name, "paused" if paused else "resumed", None, now)
    return get(name, workspace=workspace)


def history(name: str, *, workspace: str = "default") -> list[VersionRow]:
    """The versions of a bot, newest first.

    Raises:
      BotNotFound: There is no such bot.
    """
    row = get(name, workspace=workspace)
    versions = VersionRow.select().where(VersionRow.bot_id == row.id)
    return list(versions.order_by(VersionRow.number.desc()))


def find_version(row: BotRow, number: int) -> VersionRow:
    """The version of a bot with this number.

    Raises:
      VersionNotFound: There is none; the message names those that are there.
    """
    mine = VersionRow.bot_id == row.id
    version = VersionRow.get_or_none(mine & (VersionRow.number == number))
    if version is None:
        last = VersionRow.select().where(mine).order_by(VersionRow.number.desc()).first()
        there = [f"1 to {last.number}"] if last else ["none"]
        raise VersionNotFound(f"{number} of {row.name}", there)
    return version


def _row(name: str, workspace: str) -> BotRow | None:
    return BotRow.get_or_none((BotRow.workspace == workspace) & (BotRow.name == name))


def _version(version_id: str | None) -> VersionRow | None:
    return None if version_id is None else VersionRow.get_or_none(VersionRow.id == version_id)


def _new_row(written: Written, workspace: str, now: int) -> BotRow:
    return BotRow(
        id=new_id("bot"),
        workspace=workspace,
        name=written.bot.name,
        origin=written.origin,
        source=written.source,
        enabled=written.bot.enabled,
        paused=False,
        created_at=now,
        updated_at=now,
    )


def _new_version(row: BotRow, written: Written, now: int, number: int | None = None) -> VersionRow:
    if number is None:
        mine = VersionRow.select(VersionRow.number).where(VersionRow.bot_id == row.id)
        number = (mine.order_by(VersionRow.number.desc()).scalar() or 0) + 1
    version = VersionRow(
        id=new_id("ver"),
        bot_id=row.id,
        number=number,
        digest=written.digest,
        document=written.document,
        text=written.text,
        origin=written.origin,
        source=written.source,
        created_at=now,
    )
    _insert(_VERSIONS, version)
    return version


def _insert(into: Insert, row: Row) -> None:
    into.write([tuple(getattr(row, name) for name in into.columns)])


def _check_owner(row: BotRow, written: Written) -> None:
    """Files and the API do not take bots from each other while these are there."""
    if row.removed_at is not None or RUN in (row.origin, written.origin):
        return
    if row.origin == FILE and written.origin == API:
        raise BotReadOnly(row.name, row.source or "")
    if row.origin == API and written.origin == FILE:
        raise BotInvalid(f"a bot {row.name!r} was made through the API; delete it there first", ())


def _tell_recovery(row: BotRow, now: int) -> None:
    """Tell that a file is without faults again; ``row`` is from before."""
    if row.problems is not None:
        announce(BotRecovered(at=from_micros(now), bot=row.name))


def _tell(name: str, change: str, version: int | None, now: int) -> None:
    announce(BotChanged(at=from_micros(now), bot=name, change=change, version=version))
