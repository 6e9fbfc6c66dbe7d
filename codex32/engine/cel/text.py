"""Finding ``${{ … }}`` in texts, without understanding what stands between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON

OPEN: Final = "${{"


def holds_expression(value: JSON) -> bool:
    """Whether a text anywhere in ``value`` holds ``${{``."""
    if isinstance(value, str):
        return OPEN in value
    if isinstance(value, Mapping):
        return any(map(holds_expression, value.values()))
    return isinstance(value, list | tuple) and any(map(holds_expression, value))


def bare(text: str) -> str:
    """The expression of a condition, without the ``${{ }}`` it may be written in."""
    parts = expressions_in(text) if text.lstrip().startswith(OPEN) else []
    if len(parts) == 1 and not isinstance(parts[0], str):
        return parts[0].text
    return text.strip()


@dataclass(frozen=True, slots=True)
class Part:
    """An expression inside a text, ``offset`` characters after the text's beginning."""

    text: str
    offset: int


def expressions_in(text: str) -> list[str | Part]:
    """Cut a text into plain pieces and expressions.

    A text that, but for space around it, is one expression gives that one part.

    Raises:
      ExpressionFault: A ``${{`` is never closed.
    """
    parts: list[str | Part] = []
    place = 0
    while (start := text.find(OPEN, place)) >= 0:
        end = _end(text, start + len(OPEN))
        inner = text[start + len(OPEN) : end]
        offset = start + len(OPEN) + len(inner) - len(inner.lstrip())
        if start > place:
            parts.append(text[place:start])
        parts.append(Part(inner.strip(), offset))
        place = end + 2
    if place < len(text):
        parts.append(text[place:])
    solid = [part for part in parts if not (isinstance(part, str) and part.isspace())]
    return solid if len(solid) == 1 else parts


def _end(text: str, place: int) -> int:
    """Where the ``}}`` stands that closes an expression begun before ``place``."""
    depth, start = 0, place
    while place < len(text):
        character = text[place]
        if character in "'\"":
            place = _after_string(text, place, start)
            continue
        if character == "{":
            depth += 1
        elif character == "}":
            if depth == 0 and text.startswith("}}", place):
                return place
            depth -= 1
        place += 1
    raise ExpressionFault("${{ is never closed; end the expression with }}")


def _after_string(text: str, place: int, start: int) -> int:
    raw = place > start and text[place - 1] in "rR"
    quote = text[place] * 3 if text.startswith(text[place] * 3, place) else text[place]
    place += len(quote)
    while place < len(text) and not text.startswith(quote, place):
        place += 2 if text[place] == "\\" and not raw else 1
    return place + len(quote)
