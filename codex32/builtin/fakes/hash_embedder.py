"""Vectors from words alone, by feature hashing: no model, no service, everywhere the same."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

from codex32 import Embedded, Embedder, EmbeddingPurpose

_WORD = re.compile(r"\w+")


class HashEmbedder(Embedder):
    """Texts that share words have near vectors; what words mean it does not know."""

    name = "hash"
    knows_meaning = False

    def __init__(self, dimension: int = 256) -> None:
        self.dimension = dimension

    async def embed(
        self,
        texts: Sequence[str],
        *,
        purpose: EmbeddingPurpose,
        timeout_seconds: float,
        key: str | None,
    ) -> Embedded:
        """One vector of unit length a text, all zeros for a text without any word."""
        return Embedded([self._vector(text) for text in texts])

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimension
        for word in _WORD.findall(text.casefold()):
            number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
            # The sign keeps words that fall on one place from always adding up.
            vector[(number >> 1) % self.dimension] += 1.0 if number & 1 else -1.0
        length = math.hypot(*vector)
        return [value / length for value in vector] if length else vector
