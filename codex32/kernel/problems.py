"""A fault that a person can mend, with the place where it stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from codex32.kernel.text import did_you_mean


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


def unknown_settings(
    given: Iterable[str], known: Collection[str], path: str = ""
) -> Iterator[Problem]:
    """A problem for each setting that is none, with what was meant; ``path`` stands before it."""
    for key in given:
        if key not in known:
            yield Problem(f"there is no such setting{did_you_mean(key, known)}", f"{path}{key}")


def unfit_numbers(config: Mapping[str, Any], *names: str) -> Iterator[Problem]:
    """A problem for each of these settings that is given and is no number above 0."""
    for name in names:
        value = config.get(name)
        if value is not None and not (isinstance(value, int | float) and value > 0):
            yield Problem(f"{value!r} is no number above 0", name)


def address_fault(url: str, example: str) -> str | None:
    """What is wrong with the address of a service, or None.

    Keys in addresses would end up in logs.
    """
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return f"{url!r} is no address"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        return f"{url!r} is no address; write for example {example}"
    if parts.username or parts.password or parts.query:
        return "an address holds no key; name the secret that holds it in secret"
    return None
