"""Vectors on the wire of ``/v1/embeddings``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from codex32 import (
    Embedded,
    Embedder,
    EmbeddingPurpose,
    ModelFault,
    Vector,
    malformed_answer,
    token_count,
    unit_vector,
)
from codex32_openai.clients import client_of, with_key
from codex32_openai.faults import fault_of
from codex32_openai.settings import EmbedderInfo, Endpoint

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: Of the texts of one request together: what OpenAI takes (300,000 tokens), with room to spare.
_MOST_BYTES = 400_000


class OpenAIEmbedder(Embedder):
    """One model of one endpoint."""

    def __init__(self, endpoint: Endpoint, model: str, info: EmbedderInfo) -> None:
        """Serve a model; nothing is imported or connected before the first call."""
        self.name = f"{endpoint.name}:{model}"
        self.dimension = info.dimension
        self.context_tokens = info.context_tokens
        self.secret = endpoint.secret
        self.endpoint = endpoint.base_url
        self.price_list = endpoint.price_list
        self.free = endpoint.free
        self._told, self._model = endpoint, model
        self._clients = client_of(endpoint)

    async def embed(
        self,
        texts: Sequence[str],
        *,
        purpose: EmbeddingPurpose,
        timeout_seconds: float,
        key: str | None,
    ) -> Embedded:
        """Ask for all vectors, in as many requests as their size wants.

        A blank text is not sent, since services refuse it: its vector is zero.
        """
        begun_at = time.monotonic()
        client = await self._clients.get(timeout_seconds, self.name)
        left = timeout_seconds - (time.monotonic() - begun_at)
        keyed = with_key(client, self._told, key, left)
        vectors: list[Vector] = [[0.0] * self.dimension] * len(texts)
        spent: int | None = 0
        paid = False
        try:
            async with asyncio.timeout(left):
                for batch in batches(texts):
                    answer = await self._ask(keyed, [texts[n] for n in batch])
                    paid = True
                    for place, vector in zip(
                        batch, self._vectors(answer, len(batch)), strict=True
                    ):
                        vectors[place] = vector
                    told = answer.get("usage")
                    tokens = token_count(told.get("prompt_tokens") if told else None)
                    spent = None if tokens is None or spent is None else spent + tokens
        except TimeoutError:
            limit = f"{timeout_seconds:.3g} seconds"
            message = f"{self.name} gave no whole answer within {limit}"
            raise ModelFault("timeout", message, billed="maybe") from None
        except Exception as error:
            fault = fault_of(error, self.name, key)
            if paid:  # an earlier request was answered, whatever became of this one
                fault.billed = "yes"
            raise fault from None
        return Embedded(vectors, spent)

    async def close(self) -> None:
        """Close connections."""
        await self._clients.close()

    async def _ask(self, client: AsyncOpenAI, texts: Sequence[str]) -> dict[str, Any]:
        answer = await client.embeddings.create(input=list(texts), model=self._model)
        if not hasattr(answer, "to_dict"):
            raise malformed_answer(self.name, "it is no object")
        return dict(answer.to_dict(mode="python", warnings=False))

    def _vectors(self, answer: dict[str, Any], count: int) -> list[Vector]:
        """The vectors in the order of the texts, which need not be that of the answer."""
        data = answer.get("data")
        if not isinstance(data, list) or len(data) != count:
            got = len(data) if isinstance(data, list) else 0
            raise malformed_answer(self.name, f"{got} vectors for {count} texts")
        placed = {entry["index"]: entry["embedding"] for entry in data}
        if set(placed) != set(range(count)):
            raise malformed_answer(self.name, "its vectors are not one for each text")
        return [unit_vector(placed[place], self.dimension, self.name) for place in range(count)]


def batches(texts: Sequence[str]) -> Iterator[list[int]]:
    """Places of the texts that are sent, by request; blank ones are left out."""
    batch: list[int] = []
    size = 0
    for place, text in enumerate(texts):
        if not text.strip():
            continue
        length = len(text.encode())
        if batch and size + length > _MOST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += length
    if batch:
        yield batch
