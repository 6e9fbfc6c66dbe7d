"""A book in which all processes of the API write how often callers call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls that one caller made.

    Attributes:
      who: The caller, and the class of rates.
      count: How many since they were written down last.
      each_seconds: How long it takes until one of them may be made anew.
    """

    who: str
    count: int
    each_seconds: float


class CallBook(ABC):
    """Adds up what several processes count."""

    @abstractmethod
    def add(self, calls: Sequence[Calls]) -> Sequence[float]:
        """Write calls down.

        Called several times a second, from any thread. Must return within two seconds.

        Returns:
          For each caller, in order: seconds until all calls of all processes may be made anew.

        Raises:
          Exception: Of whatever kind, where the book is not reached; then the processes count each
            by itself.
        """

    def close(self) -> None:  # noqa: B027 - some have nothing to let go of
        """Let go of connections."""
