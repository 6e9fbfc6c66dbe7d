"""Keys and items of a bot file as blocks of lines: a comment belongs to the key below it."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.engine.reading.document import Place


def above(lines: Sequence[str], line: int, column: int) -> int:
    """Where the comments begin that stand directly above ``line``, not deeper than ``column``."""
    while line > 0:
        raw = lines[line - 1]
        bare = raw.lstrip(" ")
        if not bare.startswith("#") or len(raw) - len(bare) > column:
            break
        line -= 1
    return line


def bounds(lines: Sequence[str], place: Place, end: int) -> dict[str | int, tuple[int, int]]:
    """First line and line behind the last of each key's block."""
    keys = list(place.keys.items())
    starts = [above(lines, line, column) for _, (line, column) in keys]
    starts[0] = keys[0][1][0]
    return {
        key: (start, stop)
        for (key, _), start, stop in zip(keys, starts, [*starts[1:], end], strict=True)
    }


def is_block(lines: Sequence[str], place: Place, lead: str) -> bool:
    """Whether each key begins a line of its own, below the first, which stands behind ``lead``."""
    column, spots = len(lead), list(place.keys.values())
    return (
        not lead.strip(" -")
        and len({line for line, _ in spots}) == len(spots)
        and all(at == column and not lines[line][:at].strip() for line, at in spots[1:])
    )
