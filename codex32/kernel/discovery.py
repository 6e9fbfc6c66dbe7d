"""Which plugins are installed, and which of them may be imported."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

#: The house's own distribution: its plugins come first and are never left out by a list.
HOUSE = "codex32"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that was found but not yet imported.

    Attributes:
      distribution: The distribution's name, normalised; empty if it was handed in by hand.
      load: Imports it and returns the module (or object) that holds its hooks.
    """

    name: str
    distribution: str
    version: str
    load: Callable[[], Any]


def find(group: str, extra: Sequence[tuple[str, Any]]) -> list[Candidate]:
    """All plugins: the house's, then the installed and ``extra`` ones by name."""
    found = [_from_entry_point(point) for point in entry_points(group=group)]
    found += [_from_hand(name, module) for name, module in extra]
    return sorted(found, key=lambda c: (c.distribution != HOUSE, c.name, c.distribution))


def refusal(candidate: Candidate, allow: Sequence[str] | None, block: Sequence[str]) -> str:
    """Why the candidate must not even be imported; empty if it may be.

    Args:
      candidate: What was found.
      allow: Distributions, as ``name`` or ``name==version``; None allows all.
      block: Names of plugins or of distributions.
    """
    if candidate.distribution == HOUSE:
        return ""
    blocked = {_normal(name) for name in block}
    if _normal(candidate.name) in blocked or candidate.distribution in blocked:
        return "it is on the list of blocked plugins"
    if allow is None or not candidate.distribution:
        return ""
    listed = [entry.partition("==") for entry in allow]
    versions = [v.strip() for name, _, v in listed if _normal(name) == candidate.distribution]
    if not versions:
        return f"its distribution {candidate.distribution} is not on the list of allowed plugins"
    if "" not in versions and candidate.version not in versions:
        return f"version {candidate.version} is installed, allowed is {', '.join(versions)}"
    return ""


def _from_entry_point(point: EntryPoint) -> Candidate:
    try:
        name, version = point.dist.name, point.dist.version  # type: ignore[union-attr]
    except Exception:  # metadata that lies broken on the disk must not pass for a trusted one
        name, version = None, None
    return Candidate(point.name, _normal(name or "unknown"), version or "", point.load)


def _from_hand(name: str, module: Any) -> Candidate:
    if isinstance(module, str):
        return Candidate(name, "", "", lambda: importlib.import_module(module))
    return Candidate(name, "", "", lambda: module)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
