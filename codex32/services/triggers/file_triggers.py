"""Triggers that answer files: what is new since a trigger last looked, once it has settled.

What a trigger saw is a row a file. A change is answered in the transaction that moves the row on,
and only where the row still says what the change was found against; so any number of schedulers,
and a crash at any moment, answer it once, and what came while nobody looked is found afterwards.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.engine.records import gates
from codex32.kernel.batches import Insert
from codex32.kernel.bot import Trigger
from codex32.kernel.clock import from_micros
from codex32.kernel.contracts.trigger_type import WatchedFiles
from codex32.kernel.database import Door, fetch
from codex32.kernel.fault_points import fault_point
from codex32.kernel.models import BotRow, TriggerRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.watching_rows import FileSeenRow
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.schedules import TriggerTypes, restored
from codex32.services.triggers.answering import Answerer, Happening, Question
from codex32.services.triggers.file_scan import Scan, Stamp, scan
from codex32.services.triggers.listeners import live, watches_files
from codex32.services.triggers.occurrences import Answer, Due, carry_out, first_answers

#: Changes that are answered in one transaction.
BATCH = 500
_SEEN = Insert(FileSeenRow, ("trigger_id", "path", "size", "mtime_ns"), replace=True)
#: The path of the row that says that a trigger has looked before.
_LOOKED = ""


@dataclass(frozen=True, slots=True)
class Watched:
    """A live trigger, and the folder it watches; ``refused`` says why it may not."""

    due: Due
    trigger: Trigger
    files: WatchedFiles
    folder: str
    refused: str


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a file since it was seen; None where it was, or is, not there."""

    path: str
    before: Stamp | None
    after: Stamp | None

    @property
    def kind(self) -> str:
        """``created``, ``modified`` or ``deleted``."""
        if self.before is None:
            return "created"
        return "deleted" if self.after is None else "modified"


class FileWatcher:
    """Looks into the folders of file triggers; one a scheduler."""

    def __init__(
        self,
        types: TriggerTypes,
        definitions: Definitions,
        payloads: PayloadStore,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._types, self._definitions, self._payloads = types, definitions, payloads
        self._answerer = Answerer(definitions, payloads)
        self._monotonic = monotonic
        #: Since when a change has looked the same, by trigger.
        self._settling: dict[str, dict[Change, float]] = {}
        #: The triggers of the last look; None before the first.
        self._known: set[str] | None = None

    async def look(self, door: Door, clock: Callable[[], int]) -> int:
        """Look into every folder once; how many changes were taken note of."""
        watched = await door.read(self._watched)
        ids = {each.due.id for each in watched}
        self._settling = {key: value for key, value in self._settling.items() if key in ids}
        if self._known is None or self._known - ids:
            await door.write(forget)
        self._known = ids
        taken = 0
        for each in watched:
            if each.refused:
                await door.write(lambda each=each: self._refuse(each, clock()))  # type: ignore[misc]
            else:
                taken += await self._look_into(door, each, clock)
        return taken

    async def _look_into(self, door: Door, each: Watched, clock: Callable[[], int]) -> int:
        there = await asyncio.to_thread(scan, each.folder, each.files.glob)
        seen = await door.read(_seen, each.due.id)
        if seen is None:
            await door.write(lambda: _begin(each.due.id, there))
            return 0
        taken = 0
        ripe = self._ripe(each, _changes(seen, there))
        for start in range(0, len(ripe), BATCH):
            batch = ripe[start : start + BATCH]
            taken += await door.write(lambda batch=batch: self._take(each, batch, clock()))  # type: ignore[misc]
        return taken

    def _ripe(self, each: Watched, changes: Sequence[Change]) -> list[Change]:
        """The changes that have looked the same for as long as they must."""
        now, before = self._monotonic(), self._settling.get(each.due.id, {})
        settling = {change: before.get(change, now) for change in changes}
        self._settling[each.due.id] = settling
        return [c for c, since in settling.items() if now - since >= each.files.settle_seconds]

    def _take(self, each: Watched, changes: Sequence[Change], now: int) -> int:
        """Answer changes that nobody has answered, and note what was seen; called in a write."""
        trigger_id = each.due.id
        gates.lock(f"files:{trigger_id}")
        mine = FileSeenRow.path.in_([change.path for change in changes])
        seen = {
            path: Stamp(size, mtime_ns)
            for path, size, mtime_ns in fetch(_rows(trigger_id).where(mine))
        }
        enabled = TriggerRow.select().where((TriggerRow.id == trigger_id) & TriggerRow.enabled)
        if not enabled.exists():
            return 0
        ours = [change for change in changes if seen.get(change.path) == change.before]
        _SEEN.write([(trigger_id, c.path, *c.after) for c in ours if c.after is not None])
        gone = [change.path for change in ours if change.after is None]
        if gone:
            FileSeenRow.delete().where(
                (FileSeenRow.trigger_id == trigger_id) & FileSeenRow.path.in_(gone)
            ).execute()
        meant = [change for change in ours if change.kind in each.files.changes]
        questions = [Question(each.due, each.trigger, _happening(c, now)) for c in meant]
        answers = first_answers(self._answerer.answer(questions, now))
        carry_out(answers, self._payloads, now)
        fault_point("files.before_commit")
        return len(ours)

    def _refuse(self, each: Watched, now: int) -> None:
        """Say once, where ``codex32 why`` looks, that the trigger may not do what it wants."""
        key = "refused:" + hashlib.sha256(each.refused.encode()).hexdigest()
        answer = Answer(each.due, now, "capability", each.refused, key=key)
        if answers := first_answers([answer]):
            carry_out(answers, self._payloads, now)

    def _watched(self) -> list[Watched]:
        dues = live([name for name, kind in self._types.items() if watches_files(kind)])
        query = BotRow.select(BotRow.id, BotRow.source)
        sources = dict(fetch(query.where(BotRow.id.in_({due.bot_id for due in dues}))))
        found = []
        for due in dues:
            trigger = restored(due.definition)
            files = self._types[trigger.kind].watched_files(trigger.config)
            if files is None or due.version_id is None:
                continue
            base = os.path.dirname(sources.get(due.bot_id) or "") or os.getcwd()
            folder = os.path.abspath(os.path.join(base, files.path))
            allowed = self._definitions.bot(due.version_id).allow.files
            names = [os.path.join(base, each) for each in allowed if isinstance(each, str)]
            refused = "" if _below(folder, names) else f"allow.files does not name {files.path}"
            found.append(Watched(due, trigger, files, folder, refused))
        return found


def _below(folder: str, allowed: Sequence[str]) -> bool:
    """Whether a folder, links followed, is one of ``allowed`` or below one."""
    real = os.path.realpath(folder)
    tops = [os.path.realpath(each) for each in allowed]
    return any(real == top or real.startswith(top.rstrip(os.sep) + os.sep) for top in tops)


def _rows(trigger_id: str) -> pw.ModelSelect[FileSeenRow]:
    columns = (FileSeenRow.path, FileSeenRow.size, FileSeenRow.mtime_ns)
    return FileSeenRow.select(*columns).where(FileSeenRow.trigger_id == trigger_id)


def _seen(trigger_id: str) -> dict[str, Stamp] | None:
    """What a trigger saw; None where it never looked."""
    rows = {path: Stamp(size, mtime) for path, size, mtime in fetch(_rows(trigger_id))}
    return None if rows.pop(_LOOKED, None) is None else rows


def _begin(trigger_id: str, there: Scan) -> None:
    """The first look: what is there is known, and starts nothing."""
    gates.lock(f"files:{trigger_id}")
    if _seen(trigger_id) is None:
        known = [(trigger_id, path, *stamp) for path, stamp in there.files.items()]
        _SEEN.write([*known, (trigger_id, _LOOKED, 0, 0)])


def _changes(seen: Mapping[str, Stamp], there: Scan) -> list[Change]:
    """What became of the files; those that could not be looked for are not called deleted."""
    changes = [
        Change(path, seen.get(path), stamp)
        for path, stamp in there.files.items()
        if seen.get(path) != stamp
    ]
    if there.whole:
        changes += [Change(path, seen[path], None) for path in seen.keys() - there.files.keys()]
    return sorted(changes, key=lambda change: change.path)


def _happening(change: Change, now: int) -> Happening:
    stamp = change.after or change.before
    assert stamp is not None
    text = f"{change.kind}:{change.path}:{stamp.size}:{stamp.mtime_ns}:{now}"
    event = {
        "change": change.kind,
        "path": change.path,
        "name": os.path.basename(change.path),
        "size": stamp.size,
        "modified_at": from_micros(stamp.mtime_ns // 1000).isoformat(),
    }
    return Happening(
        hashlib.sha256(text.encode(errors="replace")).hexdigest(), now, {"event": event}
    )


def forget() -> int:
    """Forget what triggers saw that are gone or switched off: their next look is a first one."""
    enabled = TriggerRow.select(TriggerRow.id).where(TriggerRow.enabled)
    return int(FileSeenRow.delete().where(FileSeenRow.trigger_id.not_in(enabled)).execute())
