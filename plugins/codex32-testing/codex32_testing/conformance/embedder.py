"""The contract of embedders as tests."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import ClassVar

import pytest

from codex32 import Embedder, Vector
from codex32_testing.conformance.shared import faults

_TEXTS = ["how to bake bread", "", "Wie backt man Brot?", "🥖", "how to bake bread", "x " * 2000]


def _length(vector: Vector) -> float:
    return math.sqrt(sum(number * number for number in vector))


def _same(one: Sequence[Vector], other: Sequence[Vector]) -> bool:
    return [pytest.approx(list(vector), abs=1e-4) for vector in one] == [list(v) for v in other]


class EmbedderSuite:
    """Subclass it and give the fixture ``embedder``.

    Attributes:
      key: What the gateway would hand over as the value of ``embedder.secret``.
      limit_seconds: Of each call; one that computes by itself may need more on a busy machine.
    """

    key: ClassVar[str | None] = None
    limit_seconds: ClassVar[float] = 60

    @pytest.fixture
    def embedder(self) -> Embedder:
        """The embedder to try."""
        pytest.fail(f"{type(self).__name__} needs a fixture called embedder")

    def test_the_house_takes_it(self, embedder: Embedder) -> None:
        """It would not be refused when plugins are loaded."""
        assert faults("embedders", embedder) == []

    @pytest.mark.asyncio
    async def test_each_text_gets_a_vector_of_the_promised_dimension(
        self, embedder: Embedder
    ) -> None:
        """Whatever the text."""
        vectors = await self._embed(embedder, _TEXTS)
        assert [len(vector) for vector in vectors] == [embedder.dimension] * len(_TEXTS)

    @pytest.mark.asyncio
    async def test_vectors_have_length_one(self, embedder: Embedder) -> None:
        """But for texts without any word, which may be all zeros."""
        for text, vector in zip(_TEXTS, await self._embed(embedder, _TEXTS), strict=True):
            wordless = not any(character.isalnum() for character in text)
            assert _length(vector) == pytest.approx(1, abs=1e-3) or (
                wordless and _length(vector) == 0
            ), text

    @pytest.mark.asyncio
    async def test_the_same_text_gives_the_same_vector(self, embedder: Embedder) -> None:
        """Alone or among others, now or later."""
        together = await self._embed(embedder, _TEXTS)
        alone = await self._embed(embedder, [_TEXTS[0]])
        assert _same([together[0], together[4]], [alone[0], alone[0]])

    @pytest.mark.asyncio
    async def test_the_order_of_the_texts_is_kept(self, embedder: Embedder) -> None:
        """Vectors carry no names."""
        forward = await self._embed(embedder, _TEXTS)
        backward = await self._embed(embedder, _TEXTS[::-1])
        assert _same(forward, backward[::-1])

    @pytest.mark.asyncio
    async def test_different_texts_differ(self, embedder: Embedder) -> None:
        """An embedder that answers always the same would pass all else."""
        bread, law = await self._embed(embedder, ["how to bake bread", "the law of the sea"])
        assert not _same([bread], [law])

    @pytest.mark.asyncio
    async def test_no_text_gives_no_vector(self, embedder: Embedder) -> None:
        """An empty batch is no fault."""
        assert list(await self._embed(embedder, [])) == []

    @pytest.mark.asyncio
    async def test_large_batches_may_come_at_once(self, embedder: Embedder) -> None:
        """Up to 256 texts, concurrently."""
        batches = [[f"text {batch} {number}" for number in range(256)] for batch in range(3)]
        answers = await asyncio.gather(*(self._embed(embedder, batch) for batch in batches))
        assert [len(answer) for answer in answers] == [256, 256, 256]

    async def _embed(self, embedder: Embedder, texts: Sequence[str]) -> Sequence[Vector]:
        embedded = await embedder.embed(
            texts, purpose="document", timeout_seconds=self.limit_seconds, key=self.key
        )
        return embedded.vectors
