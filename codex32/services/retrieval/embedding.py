"""Texts turned into vectors in batches that services take, each written down once it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.database import Door
from codex32.kernel.errors import ProviderError
from codex32.services.retrieval import keeping, spaces
from codex32.services.retrieval.keeping import Texts

#: Tokens of a batch, reckoned as three characters each; services take up to some 300,000.
BATCH_TOKENS = 16_000
BATCH_TEXTS = 128
TOKEN_CHARACTERS = 3
#: Faults after which the same texts may go through in smaller batches (HTTP 400 and 413).
_SMALLER = frozenset({"context_too_long", "bad_request"})


class Embedding:
    """Embeds chunks of one collection into one space.

    Args:
      guard: Called inside every write, so that nobody writes who lost the collection.
    """

    def __init__(
        self,
        door: Door,
        models: ModelGateway,
        caller: ModelCaller,
        *,
        collection_id: str,
        embedder: str,
        dimension: int,
        guard: Callable[[], None],
    ) -> None:
        self._door, self._models, self._caller = door, models, caller
        self._collection_id = collection_id
        self._embedder, self._dimension = embedder, dimension
        self._guard = guard
        #: How many texts were embedded.
        self.count = 0

    @property
    def fingerprint(self) -> str:
        """Of the space."""
        return spaces.fingerprint(self._embedder, self._dimension)

    async def add(
        self, texts: Sequence[Texts], on_batch: Callable[[int, int], None] | None = None
    ) -> None:
        """Embed those that have no vector yet; each batch is kept as soon as it is there.

        Args:
          texts: Of chunks.
          on_batch: Told, before a batch is kept, how many that makes and how many are wanted.

        Raises:
          ModelFault: The embedder does not answer, or with nonsense.
        """
        digests = [each.sha256 for each in texts]
        there = await self._door.read(
            keeping.embedded, self._collection_id, self.fingerprint, digests
        )
        new = {each.sha256: each for each in texts if each.sha256 not in there}
        before = self.count

        def told(more: int) -> None:
            if on_batch is not None:
                on_batch(self.count - before + more, len(new))

        for batch in batches(list(new.values())):
            await self._batch(batch, told)

    async def _batch(self, batch: Sequence[Texts], told: Callable[[int], None]) -> None:
        try:
            vectors = await self._models.embed(
                self._caller, [each.embedded for each in batch], embedder=self._embedder
            )
        except ProviderError as fault:
            if getattr(fault, "kind", None) not in _SMALLER or len(batch) == 1:
                raise
            middle = len(batch) // 2
            await self._batch(batch[:middle], told)
            await self._batch(batch[middle:], told)
            return
        told(len(batch))
        packed = await asyncio.to_thread(self._packed, batch, vectors)
        await self._door.write(partial(self._keep, packed))
        self.count += len(batch)

    def _packed(
        self, batch: Sequence[Texts], vectors: Sequence[Sequence[float]]
    ) -> list[tuple[str, bytes]]:
        checked = spaces.checked(vectors, len(batch), self._dimension)
        return [
            (each.sha256, spaces.pack(vector)) for each, vector in zip(batch, checked, strict=True)
        ]

    def _keep(self, packed: Sequence[tuple[str, bytes]]) -> None:
        self._guard()
        keeping.keep_vectors(self._collection_id, self.fingerprint, packed)


def batches(texts: Sequence[Texts]) -> Iterator[list[Texts]]:
    """Texts in batches, in order."""
    batch: list[Texts] = []
    tokens = 0
    for each in texts:
        cost = len(each.embedded) // TOKEN_CHARACTERS + 1
        if batch and (tokens + cost > BATCH_TOKENS or len(batch) == BATCH_TEXTS):
            yield batch
            batch, tokens = [], 0
        batch.append(each)
        tokens += cost
    if batch:
        yield batch
