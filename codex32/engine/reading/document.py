"""YAML as bot files use it: plain JSON data, and the place of every key and value.

The subset is that of docs/reference/bot-file.md: core scalars of YAML 1.2, several documents, no
anchors, aliases, merges, tags, and no key twice. PyYAML scans, its own resolver (YAML 1.1) is
never asked, and limits hold while the text is read, not after.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem

MAX_BYTES: Final = 256 * 1024
MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 64
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[dict[str, JSON]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

Path = tuple[str | int, ...]


def dotted(path: Path) -> str:
    """The path as problems tell it: ``steps.0.with.url``."""
    return ".".join(map(str, path))


class Place:
    """Where a value stands: line and column counted from 0, and the places of its parts."""

    __slots__ = ("column", "keys", "line", "parts", "style")

    def __init__(self, line: int, column: int, style: str | None = None) -> None:
        self.line, self.column, self.style = line, column, style
        self.parts: dict[str | int, Place] = {}
        self.keys: dict[str | int, tuple[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value, and where everything in it stands.

    Attributes:
      problems: What is wrong with its YAML; the value holds the rest.
    """

    value: JSON
    place: Place | None = None
    file: str | None = None
    lines: Sequence[str] = ()
    problems: list[Problem] = field(default_factory=list)

    def problem(
        self,
        path: Path,
        message: str,
        code: str = "invalid",
        *,
        key: bool = False,
        offset: int | None = None,
    ) -> Problem:
        """A problem at ``path``, or at the nearest place above it that the document has.

        Args:
          path: From the document's root.
          message: What is wrong and what would be right.
          code: Stable word for programs.
          key: Point at the key, not at its value.
          offset: Point into a text, that many characters after its beginning.
        """
        line, column = self._locate(path, key, offset)
        return Problem(message, dotted(path), self.file, line, column, code)

    def _locate(self, path: Path, key: bool, offset: int | None) -> tuple[int, int]:
        if self.place is None:
            return 0, 0
        place, at = self.place, (self.place.line, self.place.column)
        for depth, part in enumerate(path, 1):
            if part not in place.parts:
                return at[0] + 1, at[1] + 1
            above, place = place, place.parts[part]
            at = (place.line, place.column)
            if key and depth == len(path):
                at = above.keys.get(part, at)
        if offset is not None:
            at = self._inside(path, place, offset)
        return at[0] + 1, at[1] + 1

    def _inside(self, path: Path, place: Place, offset: int) -> tuple[int, int]:
        """Exact in block scalars and in texts of one line; elsewhere the text's beginning."""
        text: Any = self.value
        for part in path:
            text = text[part]
        before = str(text)[:offset]
        if place.style == "|":
            line = place.line + 1 + before.count("\n")
            indent = next(
                (
                    len(raw) - len(raw.lstrip(" "))
                    for raw in self.lines[place.line + 1 :]
                    if raw.strip()
                ),
                0,
            )
            return line, indent + offset - (before.rfind("\n") + 1)
        if "\n" in before or place.style == ">":
            return place.line, place.column
        return place.line, place.column + offset + (place.style in ("'", '"'))


class _Unreadable(Exception):
    """The text is no document at all, or beyond the limits: told alone."""

    def __init__(self, message: str, mark: Any = None, code: str = "syntax") -> None:
        super().__init__(message)
        self.message, self.mark, self.code = message, mark, code


def read_documents(text: str | bytes, *, file: str | None = None) -> list[Document]:
    """The documents of a YAML text; empty ones are left out.

    A syntax fault, or a text beyond the limits, gives a single document without a value whose
    one problem says so; all other faults stand in ``problems`` beside what could be read.
    """
    try:
        decoded = _decode(text)
        lines = decoded.split("\n")
        return [
            Document(value, place, file, lines, problems)
            for value, place, problems in _Composer(decoded, file).documents()
        ]
    except _Unreadable as fault:
        line = fault.mark.line + 1 if fault.mark else 0
        column = fault.mark.column + 1 if fault.mark else 0
        problem = Problem(fault.message, "", file, line, column, fault.code)
        return [Document(None, None, file, (), [problem])]


def _decode(text: str | bytes) -> str:
    size = len(text if isinstance(text, bytes) else text.encode(errors="replace"))
    if size > MAX_BYTES:
        raise _Unreadable(f"the file has {size} bytes; at most {MAX_BYTES} are read", code="limit")
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        decoded.encode()
    except UnicodeError as error:
        raise _Unreadable(f"the file is not UTF-8: {error.reason}") from None  # type: ignore[attr-defined]
    return decoded.removeprefix("\ufeff")


class _Composer:
    """Turns the scanner's events into values and places."""

    def __init__(self, text: str, file: str | None) -> None:
        self._text, self._file = text, file
        self._nodes = 0
        self._problems: list[Problem] = []

    def documents(self) -> Iterator[tuple[JSON, Place, list[Problem]]]:
        try:
            self._next = _LOADER(self._text).get_event
            while not isinstance(event := self._next(), yaml.StreamEndEvent):
                if not isinstance(event, yaml.DocumentStartEvent):
                    continue
                self._problems = []
                value, place = self._node(self._next(), (), 0)
                if value is not None or self._problems:
                    yield value, place, self._problems
        except yaml.MarkedYAMLError as error:
            message = error.problem or error.context or "this is no YAML"
            raise _Unreadable(f"no YAML: {message}", error.problem_mark) from None
        except yaml.YAMLError as error:
            raise _Unreadable(f"no YAML: {str(error).splitlines()[0]}") from None

    def _fault(self, path: Path, event: Any, message: str) -> None:
        mark: Any = event.start_mark
        self._problems.append(
            Problem(message, dotted(path), self._file, mark.line + 1, mark.column + 1, "yaml")
        )

    def _node(self, event: Any, path: Path, depth: int) -> tuple[JSON, Place]:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            message = f"the file has more than {MAX_NODES} values; split it"
            raise _Unreadable(message, event.start_mark, "limit")
        if depth > MAX_DEPTH:
            message = f"values are nested more than {MAX_DEPTH} deep"
            raise _Unreadable(message, event.start_mark, "limit")
        mark: Any = event.start_mark
        place = Place(mark.line, mark.column, getattr(event, "style", None))
        if isinstance(event, yaml.AliasEvent):
            self._fault(path, event, f"the alias *{event.anchor}: write the value out again")
            return None, place
        if event.anchor is not None:
            self._fault(path, event, f"the anchor &{event.anchor}: bot files have no anchors")
        if event.tag is not None:
            self._fault(path, event, f"the tag {event.tag}: bot files have no tags")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path), place
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, place, depth), place
        return self._mapping(path, place, depth), place

    def _scalar(self, event: Any, path: Path) -> JSON:
        text: str = event.value
        if event.style:
            return text
        try:
            value = plain_value(text)
        except ValueError as error:
            self._fault(path, event, str(error))
            return None
        return value

    def _sequence(self, path: Path, place: Place, depth: int) -> list[JSON]:
        out: list[JSON] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            value, place.parts[len(out)] = self._node(event, (*path, len(out)), depth + 1)
            out.append(value)
        return out

    def _mapping(self, path: Path, place: Place, depth: int) -> dict[str, JSON]:
        out: dict[str, JSON] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            name, _ = self._node(event, path, depth + 1)
            key = self._key(name, event, path)
            here = (*path, key)
            if key in out:
                line = place.keys[key][0] + 1
                self._fault(here, event, f"the key {key!r} stands twice; first in line {line}")
            mark: Any = event.start_mark
            place.keys[key] = (mark.line, mark.column)
            out[key], place.parts[key] = self._node(self._next(), here, depth + 1)
        return out

    def _key(self, name: JSON, event: Any, path: Path) -> str:
        if isinstance(name, str):
            if name == "<<" and not event.style:
                self._fault(path, event, "the merge <<: write the keys out")
            return name
        written = getattr(event, "value", None)
        remedy = f"; quote it: {written!r}" if isinstance(written, str) else ""
        self._fault(path, event, f"a key must be a text, not {_kind(name)}{remedy}")
        return str(written)


def _kind(value: JSON) -> str:
    return {dict: "a mapping", list: "a list", type(None): "null"}.get(type(value), repr(value))


def plain_value(text: str) -> JSON:
    """The value of a plain scalar by the core schema of YAML 1.2.

    Raises:
      ValueError: It is a number that JSON cannot hold.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        if len(text) > 400:
            raise ValueError("a number of so many digits cannot be held; quote it")
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _FLOAT.fullmatch(text):
        if math.isfinite(number := float(text)):
            return number
        raise ValueError(f"{text} is too large for a number; quote it")
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no JSON number; quote it to mean the text")
    return text
