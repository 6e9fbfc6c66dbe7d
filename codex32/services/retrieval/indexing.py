"""Bringing a collection to what is there: what is unchanged costs nothing, what is gone goes.

Every step is written down before the next begins: vectors as they come from the embedder,
documents as soon as all their vectors are there, records of the store after them. Whoever is cut
off finds all of it when it begins again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from codex32.kernel.clock import Clock
from codex32.kernel.contracts.collections import CollectionCaller, IndexOrder, IndexReport
from codex32.kernel.contracts.program import ProgramRunner
from codex32.kernel.database import Door
from codex32.kernel.errors import StepFault
from codex32.kernel.fault_points import fault_point
from codex32.services.retrieval import keeping, reading
from codex32.services.retrieval.chunking import CHUNKER, Cut, chunks
from codex32.services.retrieval.embedding import (
    BATCH_TEXTS,
    BATCH_TOKENS,
    TOKEN_CHARACTERS,
    Embedding,
)
from codex32.services.retrieval.holding import Hold
from codex32.services.retrieval.keeping import Collection, Known, Read, Texts
from codex32.services.retrieval.progress import Progress
from codex32.services.retrieval.reading import Item, Refused
from codex32.services.retrieval.sections import READER
from codex32.services.retrieval.storing import Index, Storing

#: Documents that are read, embedded and written down together: so many, or more of them as long
#: as they are small and an embedder takes them at once.
_TOGETHER, _MOST_TOGETHER, _SMALL_BYTES = 16, BATCH_TEXTS, BATCH_TOKENS * TOKEN_CHARACTERS
#: Folders and steps that are named where documents are taken from them.
_MOST_TOLD = 5
_FEWEST_WORDS, _MOST_WORDS = 20, 1000


@dataclass
class Tally:
    """What became of the documents so far."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


def cut_of(order: IndexOrder) -> Cut:
    """How large chunks shall be.

    Raises:
      StepFault: Nobody could mean that.
    """
    if not _FEWEST_WORDS <= order.words <= _MOST_WORDS:
        raise StepFault(
            f"a chunk has {_FEWEST_WORDS} to {_MOST_WORDS} words, not {order.words}", code="chunk"
        )
    if not 0 <= order.overlap <= order.words // 2:
        raise StepFault("neighbours share at most half of their words", code="chunk")
    return Cut(order.words, order.overlap)


class Indexing:
    """One run over a collection that is held."""

    def __init__(
        self,
        *,
        door: Door,
        clock: Clock,
        programs: ProgramRunner,
        storing: Storing,
        embedding: Embedding,
        collection: Collection,
        hold: Hold,
        caller: CollectionCaller,
    ) -> None:
        self._door, self._clock, self._programs = door, clock, programs
        self._storing, self._embedding = storing, embedding
        self._collection, self._hold, self._caller = collection, hold, caller
        self._index = Index.of(collection)
        self._tally = Tally()
        #: Of the chunks of a group, how many were embedded when that was logged last.
        self._tenths = 0

    async def run(self, order: IndexOrder) -> IndexReport:
        """Do it; see ``Collections.index``."""
        cut = cut_of(order)
        # What was cut off before is finished first; it was paid for.
        await self._storing.ensure(self._index)
        await self._storing.flush(self._index, self._hold.check)
        known = await self._door.read(keeping.known, self._collection.id)
        items = await asyncio.to_thread(lambda: _distinct(self._found(order)))
        refused = [each for each in items if isinstance(each, Refused)]
        self._tally.failed += [(each.source, each.why) for each in refused]
        fresh = self._changed([each for each in items if isinstance(each, Item)], known, order)
        self._tell_taken(fresh, known, order)
        await self._take_in(fresh, known, order, cut)
        await self._remove({each.source for each in items}, refused, known, order)
        await self._storing.flush(self._index, self._hold.check)
        await self._door.write(partial(self._finish))
        await self._storing.store(self._index).flush(self._index.name)
        for source, why in self._tally.failed:
            self._caller.log(f"{source} was passed over: {why}")
        return IndexReport(
            self._tally.added,
            self._tally.changed,
            self._tally.removed,
            self._tally.unchanged,
            tuple(self._tally.failed),
            await self._door.read(keeping.count_chunks, self._collection.id),
            self._embedding.count,
        )

    def _found(self, order: IndexOrder) -> Iterator[Item | Refused]:
        for document in order.documents:
            yield reading.handed(document)
        for source, why in order.failed:
            yield Refused(reading.clean(source), reading.clean(why))
        if order.path is not None:
            yield from reading.found(order.path, order.include, self._caller.files)

    def _changed(
        self, items: Sequence[Item], known: dict[str, Known], order: IndexOrder
    ) -> list[Item]:
        """Documents that are not what they were."""
        fresh = []
        for item in items:
            digest = _digest(item.digest, order)
            before = known.get(item.source)
            if before is not None and (before.digest, before.scope) == (digest, order.scope):
                self._tally.unchanged += 1
            else:
                fresh.append(item)
        return fresh

    def _tell_taken(
        self, fresh: Sequence[Item], known: dict[str, Known], order: IndexOrder
    ) -> None:
        """Say whose documents these were: a folder that moved wants that, two folders do not."""
        before = [known[item.source] for item in fresh if item.source in known]
        others = sorted({each.scope for each in before} - {"", order.scope})
        if others:
            count = sum(each.scope in others for each in before)
            self._caller.log(
                f"{count} documents bear names that others gave, and are taken from them: "
                f"{', '.join(others[:_MOST_TOLD])}. What shall be kept apart belongs in "
                "collections of its own"
            )

    async def _take_in(
        self, fresh: Sequence[Item], known: dict[str, Known], order: IndexOrder, cut: Cut
    ) -> None:
        done = 0
        for group in _groups(fresh):
            self._hold.progress = Progress("index", done, len(fresh), group[0].source)
            await self._door.write(self._hold.check)
            read = await self._read(group, order, cut)
            texts = [Texts(c.sha256, c.embedded) for each in read for c in each.chunks]
            await self._embedding.add(texts, partial(self._tell_embedded, group[0].source))
            fault_point("index.embedded")
            await self._door.write(partial(self._write, read))
            fault_point("index.written")
            await self._storing.flush(self._index, self._hold.check)
            anew = sum(each.source in known for each in read)
            self._tally.changed += anew
            self._tally.added += len(read) - anew
            done += len(group)
            self._caller.log(
                f"{done} of {len(fresh)} documents ({done * 100 // len(fresh)} %), "
                f"{self._embedding.count} chunks embedded; {group[-1].source} is done"
            )

    def _tell_embedded(self, source: str, done: int, wanted: int) -> None:
        """Show how far a group is that takes an embedder more than one batch."""
        if done == wanted:
            return
        self._hold.progress = Progress("embed", done, wanted, source)
        if done * 10 // wanted > self._tenths:
            self._caller.log(f"{done} of {wanted} chunks embedded, from {source} on")
        self._tenths = done * 10 // wanted

    async def _read(self, group: Sequence[Item], order: IndexOrder, cut: Cut) -> list[Read]:
        answers = await reading.read(group, self._programs, self._collection.name)
        read = []
        for item, found in zip(group, answers, strict=True):
            if isinstance(found, Refused):
                self._tally.failed.append((found.source, found.why))
                continue
            digest = _digest(found.digest, order)
            parts = await asyncio.to_thread(chunks, item.source, found.sections, cut)
            metadata = {key: value for key, value in item.metadata.items() if key != "source"}
            read.append(Read(item.source, order.scope, digest, metadata, parts))
        return read

    def _write(self, read: Sequence[Read]) -> None:
        self._hold.check()
        now, by = self._clock.micros(), self._caller.by
        keeping.write_documents(self._collection, read, now)
        if by is not None and read:
            keeping.note(self._collection, "document.written", [r.source for r in read], by, now)

    async def _remove(
        self,
        there: set[str],
        refused: Sequence[Refused],
        known: dict[str, Known],
        order: IndexOrder,
    ) -> None:
        if not order.scope:
            return
        # What lies in a folder that cannot be looked into is not known to be gone.
        unseen = tuple(f"{each.source}/" for each in refused if order.path is not None)
        gone = [
            each.id
            for source, each in known.items()
            if each.scope == order.scope and source not in there and not source.startswith(unseen)
        ]
        for start in range(0, len(gone), 200):
            await self._door.write(partial(self._drop, gone[start : start + 200]))
        self._tally.removed = len(gone)

    def _drop(self, ids: Sequence[str]) -> None:
        self._hold.check()
        keeping.remove_documents(self._collection, ids, self._clock.micros())

    def _finish(self) -> None:
        self._hold.check()
        keeping.sweep(self._collection)
        keeping.sort_words()


def _groups(fresh: Sequence[Item]) -> Iterator[list[Item]]:
    group: list[Item] = []
    size = 0
    for each in fresh:
        size += each.size
        if len(group) >= _TOGETHER and (size > _SMALL_BYTES or len(group) == _MOST_TOGETHER):
            yield group
            group, size = [], each.size
        group.append(each)
    if group:
        yield group


def _digest(read: str, order: IndexOrder) -> str:
    told = f"{read} {READER} {CHUNKER} {order.words} {order.overlap}"
    return hashlib.sha256(told.encode()).hexdigest()


def _distinct(items: Iterator[Item | Refused]) -> list[Item | Refused]:
    """Each source once; the last of several counts, as it would if they came one by one."""
    return list({each.source: each for each in items}.values())
