"""Texts to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

Vector: TypeAlias = Sequence[float]


class Embedder(ABC):
    """Turns texts into vectors of ``dimension`` floats."""

    name: str
    dimension: int

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Turn texts into vectors.

        Called by retrieval, up to 256 texts at once, concurrently.

        Args:
          texts: Any text, the empty one included.

        Returns:
          One vector a text, in the order of ``texts``: ``len(texts)`` rows of ``dimension``
          floats, each of Euclidean length 1 (within 1e-3), but for a text without any word,
          which may be all zeros. The same text gives the same vector.

        Raises:
          ProviderUnavailable: Worth trying again, after ``retry_after_seconds`` if that is set.
          ProviderRejected: Never worth trying again.
        """
