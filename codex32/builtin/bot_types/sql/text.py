"""The text of a statement: where values stand in it, and where it ends.

Only as much of SQL is read as says what is text, name and comment (PostgreSQL, "Lexical
Structure"): in these nothing is a value and no semicolon ends a statement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# To the server whatever is no ASCII is part of a name, be it a letter or not: "€", a hard space.
_FREE = r"(?<![\w$\x80-\U0010ffff])"  # no name is under way
_TAG = r"(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?"
#: What cannot hold a value or an end; the first that fits counts.
_CLOSED = re.compile(
    rf"""
      {_FREE}[eE]'(?:[^'\\]|\\.|'')*'          # text with escapes
    | '(?:[^']|'')*'                           # text, standard_conforming_strings being on
    | "(?:[^"]|"")*"                           # a name
    | --[^\n\r]*
    | {_FREE}\$(?P<tag>{_TAG})\$.*?\$(?P=tag)\$
    """,
    re.DOTALL | re.VERBOSE,
)
_OPENING = re.compile(rf"{_FREE}[eE]'|'|\"|{_FREE}\${_TAG}\$")
_VALUE = re.compile(r"(?<![\w:]):(?P<name>[A-Za-z_]\w*)")
_POSITION = re.compile(rf"{_FREE}\$\d+")
_WORD = re.compile(r"[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*")


class TextFault(ValueError):
    """The text is not one statement, or its end cannot be told."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
      parts: The text between values, and the names of the values, in turn; the first and the last
        are text.
      verb: The first word, in capitals; empty where there is none.
    """

    parts: tuple[str, ...]
    verb: str

    @property
    def names(self) -> Sequence[str]:
        """The values it wants, each once, in the order of the text."""
        return list(dict.fromkeys(self.parts[1::2]))

    def pyformat(self) -> str:
        """The text as drivers of the style ``pyformat`` take it (PEP 249)."""
        texts = [each.replace("%", "%%") for each in self.parts]
        texts[1::2] = [f"%({name})s" for name in self.parts[1::2]]
        return "".join(texts)


def read(text: str) -> Statement:
    """Find the values of a statement, written ``:name``.

    Raises:
      TextFault: It is empty, more than one statement, or not closed.
    """
    parts, since, at, verb, ended = [], 0, 0, "", None
    text_before = False
    while at < len(text):
        past = _past_closed(text, at)
        value = None if past is not None else _VALUE.match(text, at)
        if not text[at].isspace() and not (past and text.startswith(("--", "/*"), at)):
            if ended is not None:
                raise TextFault("it is more than one statement; give each a step of its own")
            is_text = value is not None or (past is not None and text[at] != '"')
            if text_before and is_text:
                # The server may read them as one, and the second by the rules of the first.
                raise TextFault("two texts or values stand side by side; join them with ||")
            text_before = is_text
        if past is not None:
            at = past
            continue
        if text[at] == ";":
            ended = at
        elif value is not None:
            parts += [text[since:at], value["name"]]
            since = at = value.end()
            continue
        elif position := _POSITION.match(text, at):
            raise TextFault(f"values are written :name, not {position[0]}")
        elif word := _WORD.match(text, at):
            verb = verb or word[0].upper()
            at = word.end()
            continue
        at += 1
    parts.append(text[since : len(text) if ended is None else max(ended, since)])
    if not verb:
        raise TextFault("it holds no statement")
    return Statement(tuple(parts), verb)


def _past_closed(text: str, at: int) -> int | None:
    """Where a text, a name or a comment ends that begins at ``at``; None where none does."""
    if text.startswith("/*", at):
        return _past_comment(text, at)
    if found := _CLOSED.match(text, at):
        return found.end()
    if opened := _OPENING.match(text, at):
        line = text.count("\n", 0, at) + 1
        raise TextFault(f"{opened[0]} in line {line} is never closed")
    return None


def _past_comment(text: str, begin: int) -> int:
    depth, at = 1, begin + 2
    while depth:
        mark = re.compile(r"/\*|\*/").search(text, at)
        if mark is None:
            line = text.count("\n", 0, begin) + 1
            raise TextFault(f"/* in line {line} is never closed")
        depth += 1 if mark[0] == "/*" else -1
        at = mark.end()
    return at
