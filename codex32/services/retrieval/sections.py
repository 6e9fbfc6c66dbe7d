"""What a document is once it has been read: texts below headings.

Markdown is taken apart here; it and plain text need no parser that a hostile file could harm.
All other formats are read by ``program.py``, in a sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

#: Changes with what is read of a document, here and in ``program.py``: then all are read anew.
READER = "3"
_DEEPEST = 6
_UNDERLINE = re.compile(r"^(=+|-{2,})\s*$")
_FENCE = re.compile(r"^\s{0,3}(`{3,}|~{3,})")
_LONGEST_HEADING = 200


@dataclass(frozen=True, slots=True)
class Section:
    """A text, and the headings it stands under, outermost first.

    Attributes:
      joins: Whether it may be put together with its neighbour where both are small; a page or
        some rows are what they are.
    """

    heading: tuple[str, ...]
    text: str
    joins: bool = True


def plain(text: str) -> list[Section]:
    """A text without headings."""
    return [Section((), text)] if text.strip() else []


def markdown(text: str) -> list[Section]:
    """Markdown by its headings; what looks like one inside a fence is code."""
    return _saying(_markdown(_without_front_matter(text)))


def _markdown(text: str) -> Iterator[Section]:
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fence: str | None = None

    def section() -> Section:
        return Section(tuple(title for _, title in path), "\n".join(lines).strip("\n"))

    for line in text.splitlines():
        if found := _FENCE.match(line):
            mark = found.group(1)
            if fence is None:
                fence = mark
            elif mark.startswith(fence):
                fence = None
        heading = None if fence else _heading(line, lines)
        if heading is None:
            lines.append(line)
            continue
        yield section()
        level, title = heading
        path = [each for each in path if each[0] < level] + [(level, title[:_LONGEST_HEADING])]
        lines = []
    yield section()


def _heading(line: str, before: list[str]) -> tuple[int, str] | None:
    """The level and the title where this line makes a heading; it may take the line before."""
    level = len(line) - len(line.lstrip("#"))
    if 1 <= level <= _DEEPEST and line[level : level + 1].isspace():
        # By hand: as one pattern, a line of many spaces took minutes.
        title = line[level:].strip()
        bare = title.rstrip("#")
        # What closes a heading stands apart from it: "# C#" is called "C#".
        closed = not bare or bare[-1].isspace()
        return level, bare.rstrip() if closed else title
    under = _UNDERLINE.match(line)
    alone = len(before) == 1 or (len(before) > 1 and not before[-2].strip())
    if under and alone and before[-1].strip() and not before[-1].startswith((" ", "-", "|", ">")):
        return (1 if under.group(1)[0] == "=" else 2), before.pop().strip()
    return None


def _without_front_matter(text: str) -> str:
    if not text.startswith("---\n"):
        return text
    end = text.find("\n---\n", 4)
    return text[end + 5 :] if end > 0 else text


def from_program(sections: Iterable[object]) -> list[Section]:
    """What ``program.py`` answered; it is no more to be trusted than what it read."""
    found = []
    for each in sections:
        match each:
            case [list(heading), str(text)]:
                titles = tuple(str(title)[:_LONGEST_HEADING] for title in heading)
                found.append(Section(titles, text))
    return _saying(found)


def _saying(sections: Iterable[Section]) -> list[Section]:
    """Those that say something; a heading with nothing below it says itself."""
    found = []
    for section, after in pairwise([*sections, Section((), "")]):
        parents, title = section.heading[:-1], "".join(section.heading[-1:])
        if section.text.strip():
            found.append(section)
        elif title.strip() and after.heading[: len(section.heading)] != section.heading:
            found.append(Section(parents, title))
    return found
