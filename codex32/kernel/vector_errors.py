"""The errors of vector stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex32.kernel.errors import Codex32Error, WithProblems
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean


class CollectionNotFound(Codex32Error):
    """A vector store has no collection of this name."""

    code = "collection-not-found"

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        """Name it, and one of ``known`` that may be meant."""
        meant = did_you_mean(name, known)
        super().__init__(f"no collection is called {name!r}{meant}; index something into it first")
        self.name = name


class DimensionMismatch(Codex32Error):
    """A vector does not have the length its collection was made for."""

    code = "dimension-mismatch"

    def __init__(self, expected: int, given: int) -> None:
        super().__init__(f"the collection holds vectors of {expected} numbers, not {given}")
        self.expected, self.given = expected, given


class MetricMismatch(Codex32Error):
    """A collection compares its vectors by another metric."""

    code = "metric-mismatch"

    def __init__(self, expected: str, given: str) -> None:
        super().__init__(
            f"the collection compares by {expected}, not {given}; rebuild it to change that"
        )
        self.expected, self.given = expected, given


class RecordInvalid(Codex32Error):
    """What no vector store may be given: a vector, an id, metadata, a name or a limit."""

    code = "record-invalid"


class FilterInvalid(WithProblems):
    """A filter of metadata has faults; all of them are in ``problems``."""

    code = "filter-invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the filter has faults", problems)
