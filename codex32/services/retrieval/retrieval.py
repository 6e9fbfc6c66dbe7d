"""Collections as all use them: bots through their steps, people through API and commands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from codex32.kernel.caller import Caller
from codex32.kernel.clock import Clock
from codex32.kernel.components import Components
from codex32.kernel.contracts.collections import (
    Answer,
    AnswerOrder,
    CollectionCaller,
    CollectionKeeper,
    Found,
    IndexOrder,
    IndexReport,
    SearchOrder,
)
from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.contracts.program import ProgramRunner
from codex32.kernel.contracts.vector_store import Match
from codex32.kernel.database import Door
from codex32.kernel.errors import Codex32Error, StepFault
from codex32.kernel.ids import new_id
from codex32.kernel.vector_errors import CollectionNotFound
from codex32.kernel.vector_filters import read_filter
from codex32.services.retrieval import keeping, searching, spaces
from codex32.services.retrieval.answering import Answering
from codex32.services.retrieval.caution import caution
from codex32.services.retrieval.embedding import Embedding
from codex32.services.retrieval.holding import Hold, held
from codex32.services.retrieval.indexing import Indexing, cut_of
from codex32.services.retrieval.keeping import Collection
from codex32.services.retrieval.names import NAME
from codex32.services.retrieval.searching import Hit
from codex32.services.retrieval.storing import Index, Storing, Verdict

log = logging.getLogger(__name__)

#: For so long whoever changes a collection waits for another who does.
WAIT_SECONDS = 300.0
LIMIT_MOST = 100


class DocumentNotFound(Codex32Error):
    """A collection has no document of this source."""

    code = "document-not-found"

    def __init__(self, collection: str, source: str) -> None:
        super().__init__(f"the collection {collection!r} has no document {source!r}")
        self.collection, self.source = collection, source


class EmbedderChanged(StepFault):
    """A collection was made with another embedder; vectors of the two must not be mixed."""

    code = "embedder-changed"

    def __init__(self, name: str, there: str, wanted: str) -> None:
        super().__init__(
            f"the collection {name!r} was made with the embedder {there}, not with {wanted}; "
            f"move it with: codex32 collections reindex {name} --embedder {wanted}"
        )
        self.name, self.there, self.wanted = name, there, wanted


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a collection is made with where nothing is said."""

    embedder: str
    store: str


class Retrieval(CollectionKeeper):
    """Indexes, searches and answers.

    Args:
      models: Calls embedders and models.
      programs: Reads documents that need a parser.
    """

    def __init__(
        self,
        *,
        door: Door,
        clock: Clock,
        components: Components,
        models: ModelGateway,
        programs: ProgramRunner,
        defaults: Defaults,
    ) -> None:
        self._door, self._clock, self._components = door, clock, components
        self._models, self._programs, self._defaults = models, programs, defaults
        self.storing = Storing(door, components)
        #: Of stores that each process has for itself: the state of the rows that they were
        #: filled from.
        self._loaded: dict[str, int] = {}
        self._loading = asyncio.Lock()

    async def index(self, caller: CollectionCaller, order: IndexOrder) -> IndexReport:
        """Bring a collection to what the order says; see ``Collections.index``."""
        cut_of(order)
        collection = await self._ensure(caller, order)
        # A step is tried by one worker at a time: what held it before died, or was given up.
        heir = caller.models.execution_id is not None
        holder = f"indexing by {who(caller.models)}"
        async with self.held(collection, holder, heir=heir) as hold:
            indexing = Indexing(
                door=self._door,
                clock=self._clock,
                programs=self._programs,
                storing=self.storing,
                embedding=self.embedding(caller.models, collection, collection.embedder, hold),
                collection=await self.again(collection),
                hold=hold,
                caller=caller,
            )
            return await indexing.run(order)

    def held(
        self,
        collection: Collection,
        holder: str,
        *,
        heir: bool = False,
        on_wait: Callable[[str, int], None] | None = None,
    ) -> AbstractAsyncContextManager[Hold]:
        """Hold a collection while it is changed; see :func:`holding.held`."""
        return held(
            self._door,
            self._clock,
            collection,
            holder,
            WAIT_SECONDS,
            heir=heir,
            on_wait=on_wait,
        )

    def embedding(
        self, caller: ModelCaller, collection: Collection, embedder: str, hold: Hold
    ) -> Embedding:
        """Embeds chunks of a collection that is held."""
        return Embedding(
            self._door,
            self._models,
            caller,
            collection_id=collection.id,
            embedder=embedder,
            dimension=self._components.embedder(embedder).dimension,
            guard=hold.check,
        )

    async def _ensure(self, caller: CollectionCaller, order: IndexOrder) -> Collection:
        """The collection of an order, made if it is not there."""
        if not NAME.fullmatch(order.collection):
            raise StepFault(f"{order.collection!r} cannot name a collection: {NAME.pattern}")
        found = await self._door.read(keeping.find, caller.models.workspace, order.collection)
        if found is None:
            found = await self._make(caller, order)
        if order.embedder not in (None, found.embedder):
            raise EmbedderChanged(found.name, found.embedder, str(order.embedder))
        self._require_space(found)
        return found

    async def _make(self, caller: CollectionCaller, order: IndexOrder) -> Collection:
        embedder = order.embedder or self._defaults.embedder
        dimension = self._components.embedder(embedder).dimension
        store = order.store or self._defaults.store
        self._components.vector_store(store)
        collection_id = new_id("col")
        wish = Collection(
            id=collection_id,
            workspace=caller.models.workspace,
            name=order.collection,
            embedder=embedder,
            dimension=dimension,
            store=store,
            index_name=f"{collection_id}_1",
            fingerprint=spaces.fingerprint(embedder, dimension),
        )
        if told := caution(self._components, embedder):
            log.warning("the new collection %s: %s", wish.name, told)
            caller.log(f"the collection {wish.name} is new: {told}")
        return await self._door.write(partial(keeping.create, wish, self._clock.micros()))

    def _require_space(self, collection: Collection) -> None:
        """Refuse to put vectors of one space beside those of another."""
        dimension = self._components.embedder(collection.embedder).dimension
        if spaces.fingerprint(collection.embedder, dimension) != collection.fingerprint:
            there = f"{collection.embedder} as it was then"
            raise EmbedderChanged(collection.name, there, collection.embedder)

    async def again(self, collection: Collection) -> Collection:
        """The collection as it is by now: it may have moved while it was waited for."""
        return await self._door.read(keeping.get, collection.workspace, collection.name)

    async def search(self, caller: CollectionCaller, order: SearchOrder) -> Sequence[Found]:
        """What fits best; see ``Collections.search``."""
        hits = await self.hits(caller.models, order)
        return [
            Found(
                text=each.text,
                source=each.source,
                heading=each.heading,
                score=each.score,
                id=each.id,
                similarity=each.similarity,
                coverage=each.coverage,
                dense_rank=each.dense_rank,
                keyword_rank=each.keyword_rank,
                metadata=each.metadata,
            )
            for each in hits
        ]

    async def hits(self, caller: ModelCaller, order: SearchOrder) -> list[Hit]:
        """What fits best, with all that is known of it."""
        if not 1 <= order.limit <= LIMIT_MOST:
            raise StepFault(f"limit is 1 to {LIMIT_MOST}, not {order.limit}", code="limit")
        collection = await self._door.read(keeping.get, caller.workspace, order.collection)
        self._require_space(collection)
        where = None if order.where is None else read_filter(order.where)
        count = searching.candidates(order.limit)
        # Neither waits for the other: what words find costs no time where vectors take longer.
        dense, words = await asyncio.gather(
            _near(self, caller, collection, order.text, count, where),
            self._door.read(searching.keyword_list, collection, order.text, count, where),
        )
        return await self._door.read(
            searching.hits, collection, order.text, dense, words, order.limit
        )

    async def nearest(
        self, caller: ModelCaller, collection: Collection, text: str, count: int, where: object
    ) -> Sequence[Match]:
        """The nearest records of the store; none where the query has no word."""
        (vector,) = spaces.checked(
            await self._models.embed(
                caller, [text], embedder=collection.embedder, purpose="query"
            ),
            1,
            collection.dimension,
        )
        if not any(vector):
            return []
        index = Index.of(collection)
        await self._load(collection, index)
        try:
            return await self.storing.store(index).query(
                index.name,
                vector,
                limit=count,
                where=where,  # type: ignore[arg-type]
            )
        except CollectionNotFound:
            # The store lost it, or never had it: the words still find, and verify will tell.
            return []

    async def _load(self, collection: Collection, index: Index) -> None:
        """Fill an index that this process alone has, if the rows have changed since."""
        if self.storing.store(index).shared:
            return
        async with self._loading:
            if self._loaded.get(index.name) != collection.updated_at:
                await self.storing.build(index, lambda count: None)
                self._loaded[index.name] = collection.updated_at

    async def close(self) -> None:
        """Let go of the vector stores; another call opens them again."""
        await self.storing.close()

    async def answer(self, caller: CollectionCaller, order: AnswerOrder) -> Answer:
        """Have a model answer from what is found; see ``Collections.answer``."""
        search = SearchOrder(order.collection, order.question, order.limit, order.where)
        found = await self.search(caller, search)
        return await Answering(self._models, caller).answer(order, found)

    # what people do beside; see also moving.py

    async def verify(self, workspace: str, name: str) -> Verdict:
        """Hold the index of a collection to its rows.

        Raises:
          CollectionNotFound: There is none of this name.
        """
        collection = await self._door.read(keeping.get, workspace, name)
        index = Index.of(collection)
        await self._load(collection, index)
        return await self.storing.verify(index)

    async def remove(self, caller: CollectionCaller, name: str, source: str) -> None:
        """Take a document out of a collection.

        Raises:
          CollectionNotFound: There is none of this name.
          DocumentNotFound: It has no such document.
        """
        collection = await self._door.read(keeping.get, caller.models.workspace, name)
        async with self.held(collection, f"removing by {who(caller.models)}") as hold:
            collection = await self.again(collection)
            known = await self._door.read(keeping.known, collection.id)
            if source not in known:
                raise DocumentNotFound(name, source)

            def drop() -> None:
                hold.check()
                now = self._clock.micros()
                keeping.remove_documents(collection, [known[source].id], now)
                if caller.by is not None:
                    keeping.note(collection, "document.removed", [source], caller.by, now)

            await self._door.write(drop)
            await self.storing.forget_gone(Index.of(collection))

    async def delete(self, workspace: str, name: str, caller: Caller) -> None:
        """Delete a collection; its index is dropped, now or as soon as its store can be reached.

        Raises:
          CollectionNotFound: There is none of this name.
        """
        await self.storing.delete(workspace, name, caller, self._clock.micros())
        await self.storing.drop_all_gone()


async def _near(
    retrieval: Retrieval,
    caller: ModelCaller,
    collection: Collection,
    text: str,
    count: int,
    where: object,
) -> Sequence[Match]:
    """The nearest, of the index that serves when they are asked for."""
    found = await retrieval.nearest(caller, collection, text, count, where)
    if found:
        return found
    # Whoever moves a collection drops the index that was asked. Its chunks are the same.
    there = await retrieval.again(collection)
    if there.index_name == collection.index_name:
        return found
    return await _near(retrieval, caller, there, text, count, where)


def who(caller: ModelCaller) -> str:
    """Who changes a collection, for others to read."""
    if caller.execution_id is None:
        return caller.purpose or "a person"
    item = "" if caller.item is None else f"[{caller.item}]"
    return f"{caller.execution_id} ({caller.step}{item})"
