"""A fault that a person can mend, with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file, a body or a setting, and what would be right.

    Attributes:
      message: One sentence that names the culprit and the remedy.
      path: Where in the document, dotted: ``steps.0.with.url``. Empty for the whole.
      file: The file's name as the caller gave it, or None where there is no file.
      line: Line, counted from 1; 0 where it is not known.
      column: Column, counted from 1; 0 where it is not known.
      code: Stable word for programs: ``unknown-key``, ``expression``, ``syntax`` …
    """

    message: str
    path: str = ""
    file: str | None = None
    line: int = 0
    column: int = 0
    code: str = "invalid"

    def __str__(self) -> str:
        place = self.file or ""
        if self.line:
            place += f":{self.line}:{self.column}" if place else f"{self.line}:{self.column}"
        return ": ".join(part for part in (place, self.path, self.message) if part)

    def under(self, prefix: str) -> Problem:
        """The same problem, with its path below ``prefix``."""
        joined = ".".join(part for part in (prefix, self.path) if part)
        return replace(self, path=joined)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON output."""
        return asdict(self)


def sort_problems(problems: Iterable[Problem]) -> list[Problem]:
    """In the order of the document, each fault once."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda p: (p.file or "", p.line, p.column, p.path, p.message))
