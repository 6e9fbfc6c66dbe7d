"""Watched folders apply themselves: what stands in their files is what is live.

A look at a folder costs one ``stat`` a file; only files that changed, or whose inlined files
did, are read again. What then differs from the rows is written in a few grouped writes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import peewee as pw

from codex32.engine.reading.definition import Reader, Reading
from codex32.engine.reading.inlining import folder_reader
from codex32.kernel.account_rows import WorkspaceRow
from codex32.kernel.clock import Clock, SystemClock
from codex32.kernel.database import Door, fetch
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import dumps
from codex32.kernel.models import BotRow, VersionRow
from codex32.kernel.problems import Problem
from codex32.services.bots import bots, files
from codex32.services.bots.files import Found, Stamp
from codex32.services.bots.known_files import KnownFile, KnownFiles
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import API, BUILDER, FILE, Written

log = logging.getLogger(__name__)

#: Bots that are written in one transaction.
GROUP = 200
#: Longest pause of a writer who has not finished a file, and of an editor that deletes a file
#: before it writes it anew.
SETTLE_SECONDS = 0.3
#: One byte more than a bot file may have; the reader says what is wrong with it.
_ENOUGH_BYTES = 256 * 1024 + 1


@dataclass(slots=True)
class Changes:
    """What a scan found and applied.

    Attributes:
      stored: What happened to bots, by name: ``created changed restored moved``.
      removed: Names of bots that were disabled, for their files are gone.
      failed: Names of bots whose files have faults that are news.
      problems: All faults there are now, by file or folder.
      whose: The bot that a fault keeps from coming into force, where it is one alone.
      again: Something is being written; the next scan should come soon.
    """

    stored: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    whose: dict[Problem, str] = field(default_factory=dict)
    again: bool = False

    def __bool__(self) -> bool:
        return bool(self.stored or self.removed or self.failed)


@dataclass(slots=True)
class _File:
    """What a bot file said when it was read.

    Attributes:
      digests: Of the definitions without faults, by the bot's name.
      bots: These definitions; empty where the file was known and is not read.
      faults: Problems by the bot that was meant.
      vague: Problems that hide which bots were meant.
      gone_at: When it was first found missing, in seconds since the epoch.
    """

    stamps: Mapping[str, Stamp | None]
    digests: dict[str, str] = field(default_factory=dict)
    bots: dict[str, Written] = field(default_factory=dict)
    faults: dict[str, list[Problem]] = field(default_factory=dict)
    vague: list[Problem] = field(default_factory=list)
    gone_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """What the rows say of a bot; digests are those of its versions."""

    name: str
    origin: str
    source: str | None
    removed_at: int | None
    problems: str | None
    pinned: str | None
    digest: str | None
    pending: str | None


@dataclass(frozen=True, slots=True)
class _Fail:
    name: str
    source: str
    problems: Sequence[Problem]


@dataclass(frozen=True, slots=True)
class _Remove:
    name: str


_Action = Written | _Fail | _Remove


class FolderSync:
    """Keeps the registry at what some folders hold; several processes may do it at once.

    Args:
      folders: Watched, with all folders below them; a bot's source is its absolute path.
      workspace: Whose bots they hold.
      known: What files said to earlier processes.
      settle_seconds: How long a faulty file that was just written, or one that just vanished,
        is left alone before it counts.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        reader: Reader,
        registry: Registry,
        door: Door,
        *,
        workspace: str = "default",
        clock: Clock = SystemClock.shared,
        known: KnownFiles | None = None,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self.folders = tuple(Path(folder).absolute() for folder in folders)
        self.settle_seconds = settle_seconds
        self._reader, self._registry, self._door = reader, registry, door
        self._workspace, self._clock, self._known = workspace, clock, known
        self._files: dict[str, _File] = {}
        self._devices: dict[Path, int] = {}
        self._told: dict[str, list[Problem]] = {}

    async def scan(self) -> Changes:
        """Look at the folders once and apply what is there."""
        changes = Changes()
        found = await asyncio.to_thread(self._take_in, changes)
        rows = await self._door.read(_rows, self._workspace)
        if rows is None:
            changes.problems = {str(each): [self._homeless()] for each in self.folders}
            self._tell(changes)
            return changes
        plan = await asyncio.to_thread(self._plan, found, rows, changes)
        for start in range(0, len(plan), GROUP):
            group = plan[start : start + GROUP]
            for action, change in await self._door.write(lambda group=group: self._apply(group)):  # type: ignore[misc]
                _note(changes, action, change)
        self._tell(changes)
        return changes

    # what the files say

    def _take_in(self, changes: Changes) -> Found:
        """Read what changed since the last look."""
        found = files.look(self.folders, self._devices)
        now = time.time()
        for path, stamp in found.files.items():
            known = self._files.get(path)
            if known is not None:
                known.gone_at = None
                if known.stamps[path] == stamp and _same_beside(known, path):
                    continue
            read = _recall(self._known, path, stamp) or self._read(path, stamp)
            if (read.faults or read.vague) and _is_fresh(read, now, self.settle_seconds):
                changes.again = True  # perhaps half of it is written: what was there stays
            else:
                self._files[path] = read
        for path in [p for p in self._files if p not in found.files and not found.hides(p)]:
            file = self._files[path]
            file.gone_at = file.gone_at or now
            if now - file.gone_at >= self.settle_seconds:
                del self._files[path]
            else:
                changes.again = True
        if self._known is not None:
            self._known.save(self._files)
        return found

    def _read(self, path: str, stamp: Stamp) -> _File:
        place, text = Path(path), b""
        reading: Reading | None = None
        if stamp.regular:
            try:
                with place.open("rb") as file:
                    text = file.read(_ENOUGH_BYTES)
            except OSError:
                log.debug("%s cannot be opened; the reader says why", path)
            else:
                beside = folder_reader(place.parent)
                reading = self._reader.read_text(
                    text, file=path, default_name=place.stem, read_file=beside
                )
        reading = reading or self._reader.read_path(place)
        out = _File({**files.stamps(path, reading.dependencies), path: stamp})
        for each in reading.documents:
            if each.bot is not None:
                written = Written.of(each.bot, text.decode(errors="replace"), FILE, path)
                out.bots[each.bot.name] = written
                out.digests[each.bot.name] = written.digest
            elif each.name is None or each.name == place.stem:
                # The reader calls it so also where it could not see a name.
                out.vague += each.problems
            else:
                out.faults[each.name] = [*each.problems]
        sound = out.digests and not (out.faults or out.vague)
        # What has just been written may have changed while it was read.
        if (
            self._known is not None
            and sound
            and not _is_fresh(out, time.time(), self.settle_seconds)
        ):
            self._known.remember(path, text, KnownFile(out.digests, reading.dependencies))
        return out

    # what is to be done

    def _plan(self, found: Found, rows: Mapping[str, _Row], changes: Changes) -> list[_Action]:
        """What brings the rows to what the files say."""
        told = changes.problems
        told.update({path: [problem] for path, problem in found.problems.items()})
        meant = self._meant(rows)
        for path, file in self._files.items():
            if faults := [*file.vague, *(p for each in file.faults.values() for p in each)]:
                told[path] = faults
                changes.whose.update(_whose(file, [n for n in meant if path in meant[n]]))
        plan: list[_Action] = []
        for name, paths in sorted(meant.items()):
            owner = self._owner(rows.get(name), paths)
            for path in paths:
                if path != owner and self._files[path].gone_at is None:
                    fault = _taken(name, path, owner)
                    told.setdefault(path, []).append(fault)
                    changes.whose[fault] = name
            if owner in paths:
                plan += self._for_owner(name, owner, rows.get(name))
        plan += [
            _Remove(row.name)
            for row in rows.values()
            if row.name not in meant and self._is_gone(row, found)
        ]
        return plan

    def _meant(self, rows: Mapping[str, _Row]) -> dict[str, list[str]]:
        """Which files define each bot, or would, were they without faults."""
        had: dict[str, list[str]] = {}
        for row in rows.values():
            if row.origin == FILE and row.removed_at is None and row.source is not None:
                had.setdefault(row.source, []).append(row.name)
        meant: dict[str, list[str]] = {}
        for path in sorted(self._files):
            file = self._files[path]
            names = {*file.digests, *file.faults}
            if file.vague:
                names |= set(had.get(path, ())) or {Path(path).stem}
            for name in names:
                meant.setdefault(name, []).append(path)
        return meant

    def _owner(self, row: _Row | None, paths: Sequence[str]) -> str:
        """Who may define a bot: whoever has it keeps it while it is there."""
        present = [path for path in paths if self._files[path].gone_at is None] or paths
        if row is not None and row.removed_at is None:
            if row.origin in (API, BUILDER):
                return "the API"
            source = row.source or ""
            elsewhere = row.origin == FILE and not self._is_ours(source)
            if source in present or (elsewhere and Path(source).exists()):
                return source
        return present[0]

    def _for_owner(self, name: str, path: str, row: _Row | None) -> list[_Action]:
        file = self._files[path]
        digest = file.digests.get(name)
        if digest is not None:
            if row is not None and _is_live(row, path, digest):
                return []
            if name not in file.bots:  # it was known, and is wanted now
                file = self._files[path] = self._read(path, _stamp_of(file, path))
            written = file.bots.get(name)
            return [] if written is None else [written]
        faults = file.faults.get(name) or file.vague
        known = row is not None and row.source == path and row.removed_at is None
        if known and row is not None and row.problems == _as_text(faults):
            return []
        return [_Fail(name, path, faults)]

    def _is_gone(self, row: _Row, found: Found) -> bool:
        """Whether the file of a bot is gone, or no longer holds it."""
        source = row.source
        if row.origin != FILE or row.removed_at is not None or source is None:
            return False
        if not self._is_ours(source) or found.hides(source):
            return False
        return source in self._files or source not in found.files

    def _is_ours(self, source: str) -> bool:
        return any(Path(source).is_relative_to(folder) for folder in self.folders)

    def _homeless(self) -> Problem:
        remedy = f"run: codex32 workspaces create {self._workspace}"
        message = f"there is no workspace {self._workspace!r} for these bots; {remedy}"
        return Problem(message, path="bots.workspace", code="workspace")

    # doing it

    def _apply(self, group: Sequence[_Action]) -> list[tuple[_Action, str]]:
        """Carry out actions in one write; those that changed something, and what."""
        now, place = self._clock.micros(), self._workspace
        done: list[tuple[_Action, str | None]] = []
        written = [action for action in group if isinstance(action, Written)]
        answers = self._registry.store_many(written, now, workspace=place)
        for item, stored in zip(written, answers, strict=True):
            if isinstance(stored, Codex32Error):  # another process was quicker
                about = {"workspace": place, "bot": item.bot.name, "file": item.source}
                log.warning("%s: %s", item.source, stored.message, extra=about)
            else:
                done.append((item, stored.change))
        for action in group:
            match action:
                case _Fail(name, source, problems):
                    news = bots.fail(name, source, problems, now, workspace=place)
                    done.append((action, "failed" if news else None))
                case _Remove(name):
                    gone = bots.remove(name, now, origin=FILE, workspace=place)
                    done.append((action, "removed" if gone else None))
        return [(action, change) for action, change in done if change is not None]

    def _tell(self, changes: Changes) -> None:
        for path, problems in changes.problems.items():
            if self._told.get(path) != problems:
                for problem in problems:
                    about = {"workspace": self._workspace, "file": problem.file or path}
                    if name := changes.whose.get(problem):
                        about["bot"] = name
                    log.warning("%s", problem, extra=about)
        self._told = changes.problems


def _whose(file: _File, meant: Sequence[str]) -> dict[Problem, str]:
    found = {fault: name for name, faults in file.faults.items() for fault in faults}
    if len(meant) == 1:
        found |= dict.fromkeys(file.vague, meant[0])
    return found


def _note(changes: Changes, action: _Action, change: str) -> None:
    match action:
        case Written(bot=bot):
            changes.stored[bot.name] = change
        case _Fail(name=name):
            changes.failed.append(name)
        case _Remove(name=name):
            changes.removed.append(name)


def _rows(workspace: str) -> dict[str, _Row] | None:
    """All bots of the workspace that folders serve; None where there is no such workspace."""
    if not WorkspaceRow.select().where(WorkspaceRow.name == workspace).exists():
        return None
    pending = VersionRow.alias()
    rows = fetch(
        BotRow.select(
            BotRow.name,
            BotRow.origin,
            BotRow.source,
            BotRow.removed_at,
            BotRow.problems,
            BotRow.pinned_digest,
            VersionRow.digest,
            pending.digest,
        )
        .join(VersionRow, pw.JOIN.LEFT_OUTER, on=(VersionRow.id == BotRow.active_version_id))
        .switch(BotRow)
        .join(pending, pw.JOIN.LEFT_OUTER, on=(pending.id == BotRow.pending_version_id))
        .where(BotRow.workspace == workspace)
    )
    return {row[0]: _Row(*row) for row in rows}


def _is_live(row: _Row, source: str, digest: str) -> bool:
    if (row.origin, row.source) != (FILE, source):
        return False
    if row.removed_at is not None or row.problems is not None:
        return False
    # What waits for approval is what the file said last; no more can be done about it here.
    return digest == (row.pending or row.pinned or row.digest)


def _recall(known: KnownFiles | None, path: str, stamp: Stamp) -> _File | None:
    """What a file said to an earlier process, where nothing has changed since."""
    if known is None or not stamp.regular:
        return None
    try:
        text = Path(path).read_bytes()
    except OSError:
        return None
    said = known.recall(path, text)
    if said is None:
        return None
    return _File({**files.stamps(path, said.beside), path: stamp}, dict(said.digests))


def _is_fresh(file: _File, now: float, settle_seconds: float) -> bool:
    return any(
        0 <= now - stamp.modified_at < settle_seconds
        for stamp in file.stamps.values()
        if stamp is not None
    )


def _stamp_of(file: _File, path: str) -> Stamp:
    stamp = file.stamps[path]
    assert stamp is not None
    return stamp


def _same_beside(file: _File, path: str) -> bool:
    return all(files.stamp(each) == stamp for each, stamp in file.stamps.items() if each != path)


def _as_text(problems: Sequence[Problem]) -> str:
    return dumps([problem.as_dict() for problem in problems])


def _taken(name: str, path: str, owner: str) -> Problem:
    return Problem(
        f"a bot {name!r} is there already: it belongs to {owner}; give this one another name",
        path="name",
        file=path,
        code="duplicate",
    )
