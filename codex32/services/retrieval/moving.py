"""An index made anew, and a collection moved to another embedder: old until new is proved.

All of it happens beside the index that queries ask. Vectors are written down as they come, so
whoever is cut off pays for none twice; a move is one write. The vectors of the embedder before
are kept: going back costs nothing but making the index.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from codex32.kernel.caller import Caller
from codex32.kernel.clock import Clock
from codex32.kernel.components import Components
from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.database import Door, fetch
from codex32.kernel.errors import Codex32Error, ComponentNotFound, ProviderError, StepFault
from codex32.kernel.fault_points import fault_point
from codex32.kernel.retrieval_rows import ChunkRow
from codex32.services.retrieval import keeping, spaces
from codex32.services.retrieval.embedding import TOKEN_CHARACTERS, Embedding
from codex32.services.retrieval.holding import Hold
from codex32.services.retrieval.keeping import Collection
from codex32.services.retrieval.names import next_index
from codex32.services.retrieval.progress import Progress
from codex32.services.retrieval.quality import Question, Recall, among, recall, sampled
from codex32.services.retrieval.retrieval import WAIT_SECONDS, Retrieval, who
from codex32.services.retrieval.storing import Index, Verdict
from codex32.services.safe import audit

#: How many chunks are embedded before the next are looked up.
_PAGE = 500
OnProgress = Callable[[str, int, int], None]


class QualityLost(Codex32Error):
    """With the new embedder less is found, so the collection was not moved."""

    code = "quality-lost"

    def __init__(self, name: str, before: float, after: float) -> None:
        super().__init__(
            f"{name} was not moved: of the questions asked, {before:.0%} find their document now "
            f"and {after:.0%} would; give a larger --max-drop to move it all the same"
        )
        self.name, self.before, self.after = name, before, after


class QualityUnknown(Codex32Error):
    """How much is found now cannot be told, so the collection was not moved."""

    code = "quality-unknown"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"{name} was not moved, since how much is found now cannot be told: {why}; "
            "--max-drop 1 moves it without asking anything"
        )
        self.name, self.why = name, why


@dataclass(frozen=True, slots=True)
class Cost:
    """What a move would take.

    Attributes:
      chunks: All of them.
      lacking: Those for which the embedder has to be asked.
      tokens: About what these have.
    """

    chunks: int
    lacking: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that was made: how good the old index was and the new one is, if that was asked."""

    collection: str
    embedder: str
    former: str
    embedded: int
    before: Recall | None
    after: Recall | None


class Mover:
    """Makes indexes anew and moves collections, on behalf of a caller.

    Args:
      caller: Who pays for what is embedded.
      by: Who asked for it.
    """

    def __init__(
        self,
        retrieval: Retrieval,
        door: Door,
        components: Components,
        caller: ModelCaller,
        clock: Clock,
        by: Caller,
    ) -> None:
        self._retrieval, self._door = retrieval, door
        self._components, self._caller = components, caller
        self._clock, self._by = clock, by

    async def cost(self, name: str, embedder: str) -> Cost:
        """What it would take to move a collection to an embedder.

        Raises:
          CollectionNotFound: There is none of this name.
          ComponentNotFound: No such embedder is installed.
        """
        collection = await self._get(name)
        space = spaces.fingerprint(embedder, self._components.embedder(embedder).dimension)
        return await self._door.read(_cost, collection, space)

    async def rebuild(self, name: str, on_progress: OnProgress) -> Verdict:
        """Make the index anew from the rows; damaged vectors are embedded again.

        How the index stood to the rows before is answered.
        """
        async with self._held(name, "rebuilding", on_progress) as hold:
            on_progress = _shown_to_all(hold, on_progress)
            collection = await self._get(name)
            verdict = await self._retrieval.storing.verify(Index.of(collection))
            broken = (collection.id, collection.fingerprint, verdict.damaged)
            await self._door.write(partial(keeping.forget_vectors, *broken))
            embedding = self._retrieval.embedding(
                self._caller, collection, collection.embedder, hold
            )
            await self._embed(embedding, collection, on_progress)
            new = replace(collection, index_name=next_index(collection.index_name))
            await self._build(new, on_progress)
            await self._replace(collection, new, hold.check, "collection.rebuilt")
        await self._retrieval.storing.drop_all_gone()
        return verdict

    async def move(
        self,
        name: str,
        embedder: str,
        on_progress: OnProgress,
        *,
        questions: Sequence[Question] = (),
        max_drop: float = 0.05,
    ) -> Moved:
        """Move a collection to another embedder, if what is sought is found there as well.

        Args:
          name: The collection.
          embedder: An installed one.
          on_progress: Told what is done, how much of it, and how much there is.
          questions: With the documents that answer them; without any, passages of the
            collection are sought.
          max_drop: By how much the share of questions that find their document may fall; with
            1, nothing is asked, so that an embedder that is gone can be left.

        Raises:
          QualityLost: It would fall further; nothing was changed.
          QualityUnknown: Nobody can tell whether it would; nothing was embedded.
        """
        async with self._held(name, "moving", on_progress) as hold:
            on_progress = _shown_to_all(hold, on_progress)
            old = await self._get(name)
            dimension = self._components.embedder(embedder).dimension
            new = replace(
                old,
                embedder=embedder,
                dimension=dimension,
                fingerprint=spaces.fingerprint(embedder, dimension),
                index_name=next_index(old.index_name),
                former=old.embedder,
            )
            if new.fingerprint == old.fingerprint:
                raise StepFault(f"{name} is there already: its embedder is {embedder}")
            asked = list(questions) or await self._door.read(sampled, old)
            first = await self._door.read(among, old)
            before = None
            if max_drop < 1:
                before = await self._before(old, asked, first, bool(questions))
            embedding = self._retrieval.embedding(self._caller, old, embedder, hold)
            await self._embed(embedding, old, on_progress)
            fault_point("move.embedded")
            await self._build(new, on_progress)
            after = None
            if before:
                after = await recall(self._retrieval, self._caller, new, asked, first)
            if before and after and after.share < before.share - max_drop:
                await self._retrieval.storing.store(Index.of(new)).drop_collection(new.index_name)
                raise QualityLost(name, before.share, after.share)
            await self._replace(old, new, hold.check, "collection.moved")
        await self._retrieval.storing.drop_all_gone()
        return Moved(name, embedder, old.embedder, embedding.count, before, after)

    async def _before(
        self, old: Collection, asked: Sequence[Question], first: int, given: bool
    ) -> Recall:
        """How much is found now; asked first, since it costs least."""
        try:
            before = await recall(self._retrieval, self._caller, old, asked, first)
        except (ComponentNotFound, ProviderError) as error:
            raise QualityUnknown(old.name, str(error)) from None
        if given and not before.found:
            raise QualityUnknown(old.name, "none of the questions given finds its document")
        return before

    async def _replace(
        self, old: Collection, new: Collection, guard: Callable[[], None], action: str
    ) -> None:
        def write() -> None:
            keeping.move(old, new, guard)
            change = {"embedder": new.embedder, "was": old.embedder}
            now, workspace = self._clock.micros(), old.workspace
            audit.record(self._by, action, old.name, now, change=change, workspace=workspace)

        fault_point("move.built")
        await self._door.write(write)
        fault_point("move.replaced")

    async def _get(self, name: str) -> Collection:
        return await self._door.read(keeping.get, self._caller.workspace, name)

    @asynccontextmanager
    async def _held(self, name: str, doing: str, on_progress: OnProgress) -> AsyncIterator[Hold]:
        """Hold a collection; whoever holds it is named while it is waited for."""

        def on_wait(holder: str, seconds: int) -> None:
            # One that was killed holds it until its lease ends, which looks like hanging.
            on_progress(f"waiting for {holder}", seconds, int(WAIT_SECONDS))

        collection, holder = await self._get(name), f"{doing} by {who(self._caller)}"
        async with self._retrieval.held(collection, holder, on_wait=on_wait) as hold:
            yield hold

    async def _embed(
        self, embedding: Embedding, collection: Collection, on_progress: OnProgress
    ) -> None:
        """Embed every chunk that has no vector in this space yet."""
        total = (await self._door.read(_cost, collection, embedding.fingerprint)).lacking
        while page := await self._door.read(
            keeping.lacking, collection, embedding.fingerprint, _PAGE
        ):
            await embedding.add(page)
            on_progress("embed", min(embedding.count, total), total)

    async def _build(self, new: Collection, on_progress: OnProgress) -> None:
        total = await self._door.read(keeping.count_chunks, new.id)
        await self._retrieval.storing.build(
            Index.of(new), lambda count: on_progress("store", count, total)
        )


def _shown_to_all(hold: Hold, on_progress: OnProgress) -> OnProgress:
    def told(stage: str, done: int, total: int) -> None:
        hold.progress = Progress(stage, done, total)
        on_progress(stage, done, total)

    return told


def _cost(collection: Collection, fingerprint: str) -> Cost:
    row = ChunkRow
    mine = row.select(row.sha256, row.text, row.heading).where(row.collection_id == collection.id)
    sizes = {digest: len(text) + len(heading) for digest, text, heading in fetch(mine.tuples())}
    there = keeping.embedded(collection.id, fingerprint, list(sizes))
    lacking = [size for digest, size in sizes.items() if digest not in there]
    return Cost(len(sizes), len(lacking), sum(size // TOKEN_CHARACTERS + 1 for size in lacking))
