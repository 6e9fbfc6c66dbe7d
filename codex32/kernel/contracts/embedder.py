"""Texts to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Vector: TypeAlias = Sequence[float]
#: Whether texts are kept to be found, or sought with: some models treat them differently.
EmbeddingPurpose: TypeAlias = Literal["document", "query"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors, and how many tokens will be paid for: None where the service did not say."""

    vectors: Sequence[Vector]
    input_tokens: int | None = None


class Embedder(ABC):
    """Turns texts into vectors of ``dimension`` floats.

    Attributes:
      name: A word, or ``provider:model`` where a service bills for it: ``allow.models`` and
        prices then go by this name.
      secret: Name of the secret that holds the key, as for a provider of models.
      context_tokens: How many tokens of one text it reads: of a longer one the gateway takes the
        mean of several windows. None where it reads all of any text, or refuses what it cannot.
      knows_meaning: Whether texts that say the same in other words are near each other.
      endpoint: Where calls go; empty where they stay in this process.
      price_list: As for a provider of models.
      free: Whether nobody bills for it.
    """

    name: str
    dimension: int
    secret: str | None = None
    endpoint: str = ""
    price_list: str | None = None
    free: bool = True
    context_tokens: int | None = None
    knows_meaning: bool = True

    @abstractmethod
    async def embed(
        self,
        texts: Sequence[str],
        *,
        purpose: EmbeddingPurpose,
        timeout_seconds: float,
        key: str | None,
    ) -> Embedded:
        """Turn texts into vectors.

        Called by the gateway, up to 256 texts at once, concurrently; it retries, limits and
        books. Whatever computes for long does so on a thread.

        Args:
          texts: Any text, the empty one included.
          purpose: What the vectors are for.
          timeout_seconds: Limit of the whole call; the gateway holds it, too.
          key: The value of ``secret``; None where no store knows it.

        Returns:
          One vector a text, in the order of ``texts``: ``len(texts)`` rows of ``dimension``
          floats, each of Euclidean length 1 (within 1e-3), but for a text without any word,
          which may be all zeros. The same text gives the same vector.

        Raises:
          ModelFault: Whatever went wrong, by its kind.
        """

    async def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of connections of the running event loop; another call makes new ones."""
