"""The embedder ``minilm``."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from codex32 import Embedded, Embedder, EmbeddingPurpose, ModelFault, Vector
from codex32_minilm.weights import weights

if TYPE_CHECKING:
    from codex32_minilm.model import Model

_DIMENSION = 384
#: Windows computed together: larger ones fall out of the processor's cache.
_BATCH = 8


class MiniLM(Embedder):
    """Vectors of all-MiniLM-L6-v2, computed in this process.

    The weights are read at the first call, some 90 MB, and shared by all that follow.
    """

    name = "minilm"
    dimension = _DIMENSION

    def __init__(self, path: str | None = None) -> None:
        """Keep where the weights are; nothing is read yet."""
        self._path = path
        self._model: Model | None = None
        self._lock = threading.Lock()

    async def embed(
        self,
        texts: Sequence[str],
        *,
        purpose: EmbeddingPurpose,
        timeout_seconds: float,
        key: str | None,
    ) -> Embedded:
        """Compute vectors on a thread, some at a time, so that a limit or a cancellation is kept.

        A text longer than 256 tokens is read window by window, and its vector is their mean.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._embed(texts)
        except TimeoutError:
            message = f"minilm was not done within {timeout_seconds:.3g} seconds"
            raise ModelFault("timeout", message) from None

    async def _embed(self, texts: Sequence[str]) -> Embedded:
        model = await asyncio.to_thread(self._loaded)
        cut = await asyncio.to_thread(lambda: [model.windows(text) for text in texts])
        # Windows of like length are computed together, since short ones are filled up.
        places = sorted(
            ((text, window) for text, windows in enumerate(cut) for window in windows),
            key=lambda place: len(place[1]),
        )
        sums = [[0.0] * _DIMENSION for _ in texts]
        for begin in range(0, len(places), _BATCH):
            batch = places[begin : begin + _BATCH]
            rows = await asyncio.to_thread(_rows, model, [window for _, window in batch])
            for (text, window), row in zip(batch, rows, strict=True):
                weight = float(len(window))
                sums[text] = [a + weight * b for a, b in zip(sums[text], row, strict=True)]
        spent = sum(len(window) for _, window in places)
        return Embedded([_unit(total) for total in sums], spent)

    def _loaded(self) -> Model:
        from threadpoolctl import threadpool_limits

        from codex32_minilm.model import Model

        with self._lock:
            if self._model is None:
                # Threads of the linear algebra wait for each other by turning in circles: on a
                # busy machine they take ten times the processor for the same vectors.
                threadpool_limits(limits=1, user_api="blas")
                self._model = Model(weights(self._path))
            return self._model


def _rows(model: Model, windows: Sequence[Sequence[int]]) -> list[list[float]]:
    rows: list[list[float]] = model.vectors(windows).tolist()
    return rows


def _unit(values: Sequence[float]) -> Vector:
    length = math.hypot(*values)
    return [value / length for value in values]
