"""One thing that ``codex32 doctor`` looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: Things of a kind that are named.
_FEW = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; what is told of it holds no secret: people show it others."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def few(names: Sequence[str]) -> str:
    """The first of many, for a line."""
    return ", ".join(names[:_FEW]) + (" and more" if len(names) > _FEW else "")
