"""Templates without logic: the part of Mustache that fills in values, lists and alternatives.

What is filled in is data and is never read as a template again, so a template is as safe as the
one who wrote it, whatever comes from outside. There is nothing to call and nothing to import.

``{{name}}`` and ``{{a.b}}`` are values, ``{{.}}`` the item itself; ``{{#list}}…{{/list}}`` stands
once an item, or once where the value is there; ``{{^list}}…{{/list}}`` where it is empty or
missing; ``{{! …}}`` is a comment. Names that are missing are empty.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from codex32 import JSON

_TAG = re.compile(r"\{\{\s*([#^/!]?)(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"\.|[^\s.{}#^/!]+(\.[^\s.{}#^/!]+)*")
#: Tags of sections that stand alone on their line take the line with them.
_ALONE = re.compile(r"(\{\{\s*[#^/!][^{}]*\}\}\s*)+")
_MOST_CHARACTERS = 1_000_000
_DEEPEST = 20


class TemplateFault(ValueError):
    """A template that cannot be read or filled in; the message says what is wrong."""


@dataclass(slots=True)
class Section:
    """A part that stands once an item, or only where there is nothing."""

    name: str
    inverted: bool
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Value:
    """A value to be filled in."""

    name: str


Part: TypeAlias = "str | Value | Section"


def parse(text: str) -> list[Part]:
    """The parts of a template.

    Raises:
      TemplateFault: A section is not closed, or a name is none.
    """
    root = Section("", inverted=False)
    open_, place = [root], 0
    text = _without_own_lines(text)
    for tag in _TAG.finditer(text):
        open_[-1].parts.append(text[place : tag.start()])
        place = tag.end()
        kind, name = tag[1], tag[2].strip()
        if kind == "!":
            continue
        if not _NAME.fullmatch(name):
            raise TemplateFault(f"{name!r} is no name; write {{{{name}}}}")
        if kind == "/":
            if len(open_) == 1 or open_[-1].name != name:
                wanted = open_[-1].name or "nothing"
                raise TemplateFault(f"{name} is closed, but {wanted} is open")
            open_.pop()
        elif kind:
            section = Section(name, inverted=kind == "^")
            open_[-1].parts.append(section)
            open_.append(section)
            if len(open_) > _DEEPEST:
                raise TemplateFault(f"sections are nested more than {_DEEPEST} deep")
        else:
            open_[-1].parts.append(Value(name))
    if len(open_) > 1:
        raise TemplateFault(f"the section {open_[-1].name} is not closed")
    root.parts.append(text[place:])
    return root.parts


def render(text: str, data: JSON, *, escaped: bool = False) -> str:
    """Fill ``data`` in; with ``escaped`` as text of HTML.

    Raises:
      TemplateFault: It cannot be read, or what comes out is longer than a million characters.
    """
    out = _Out(html.escape if escaped else str)
    out.write(parse(text), [data])
    return "".join(out.pieces)


class _Out:
    def __init__(self, escape: Callable[[str], str]) -> None:
        self.pieces: list[str] = []
        self._escape, self._length = escape, 0

    def write(self, parts: Sequence[Part], scopes: Sequence[JSON]) -> None:
        for part in parts:
            if isinstance(part, Section):
                self._section(part, scopes)
            elif isinstance(part, Value):
                self._add(self._escape(_text(_found(part.name, scopes))))
            else:
                self._add(part)

    def _section(self, part: Section, scopes: Sequence[JSON]) -> None:
        value = _found(part.name, scopes)
        items = value if isinstance(value, list) else [value] if _there(value) else []
        if part.inverted:
            if not items:
                self.write(part.parts, scopes)
            return
        for item in items:
            self.write(part.parts, [*scopes, item])

    def _add(self, piece: str) -> None:
        self._length += len(piece)
        if self._length > _MOST_CHARACTERS:
            raise TemplateFault(f"it would be longer than {_MOST_CHARACTERS:,} characters")
        self.pieces.append(piece)


def _found(name: str, scopes: Sequence[JSON]) -> JSON:
    if name == ".":
        return scopes[-1]
    first, *rest = name.split(".")
    for scope in reversed(scopes):
        if isinstance(scope, dict) and first in scope:
            value = scope[first]
            for key in rest:
                value = value.get(key) if isinstance(value, dict) else None
            return value
    return None


def _there(value: JSON) -> bool:
    return value is not None and value is not False and value not in ("", {})


def _text(value: JSON) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _without_own_lines(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line.strip() if _ALONE.fullmatch(line.strip()) else line for line in lines)
