"""Small faults in expressions, as people and models make them: texts that are made, never parsed.

What comes out may be no expression at all; whoever uses it reads it as a bot file is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from codex32.engine.expressions import OPEN, Part, expressions_in

_TOKEN: Final = re.compile(
    r"""(?P<text>[rR]?(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
      |(?P<number>(?<![\w.])\d+(?:\.\d+)?(?![\w.]))
      |(?P<operator>==|!=|<=|>=|&&|\|\||<|>)
      |(?P<filter>\.filter\(\s*\w+\s*,)
      |(?P<word>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)
#: The neighbour of an operator, and where it has a boundary, the other side of it.
_SWAPPED: Final[Mapping[str, tuple[str, ...]]] = {
    "==": ("!=",),
    "!=": ("==",),
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "&&": ("||",),
    "||": ("&&",),
}

#: A fault: what it is, and the text with it.
Fault = tuple[str, str]


def condition_faults(text: str) -> Iterator[Fault]:
    """The bare expression of an ``if`` with one fault each."""
    yield "always holds", "true"
    yield "never holds", "false"
    if not any(found.lastgroup == "operator" for found in _TOKEN.finditer(text)):
        yield "is negated", f"!({text})"  # elsewhere the operator is turned round
    yield from expression_faults(text)


def expression_faults(text: str) -> Iterator[Fault]:
    """A bare expression with one fault each."""
    for found in _TOKEN.finditer(text):
        for what, instead in _instead(found, text):
            yield what, text[: found.start()] + instead


def _instead(found: re.Match[str], text: str) -> Iterator[Fault]:
    """What is wrong, and the text from the token on."""
    token, rest = found[0], text[found.end() :]
    match found.lastgroup:
        case "operator":
            for other in _SWAPPED[token]:
                yield f"{token} became {other}", other + rest
        case "number":
            more = str(float(token) + 1) if "." in token else str(int(token) + 1)
            yield f"{token} became {more}", more + rest
        case "text":
            other = "''" if len(token.lstrip("rR")) > 2 else "'changed'"
            yield f"{token} became {other}", other + rest
        case "filter" if (end := _closing(rest)) is not None:
            yield "filters nothing", f"{token} true{rest[end:]}"


def _closing(rest: str) -> int | None:
    """Where the bracket stands that ends a call begun before ``rest``."""
    depth, place = 0, 0
    while place < len(rest):
        found = _TOKEN.match(rest, place)
        if found is not None and found.lastgroup == "text":
            place = found.end()
            continue
        depth += (rest[place] in "([{") - (rest[place] in ")]}")
        if depth < 0:
            return place
        place += 1
    return None


def text_faults(text: str, *, words: bool = True) -> Iterator[Fault]:
    """A text of a bot file, with expressions or without, with one fault each.

    Args:
      text: As it stands in the file, without faults.
      words: Whether what stands outside of expressions is part of what is wrong, too.
    """
    parts = expressions_in(text)
    expressions = [part for part in parts if isinstance(part, Part)]
    for part in expressions:
        end = part.offset + len(part.text)
        for what, instead in expression_faults(part.text):
            yield what, text[: part.offset] + instead + text[end:]
        if len(parts) > 1:
            start, stop = text.rindex(OPEN, 0, part.offset), text.index("}}", end) + 2
            yield f"does not tell {part.text}", text[:start] + text[stop:]
    if words and (len(parts) > 1 or not expressions) and text.strip():
        yield "says something else", f"{text}-changed"
