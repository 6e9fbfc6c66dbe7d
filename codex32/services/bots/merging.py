"""Three-way merge of bot files: what was proposed goes into what a person edited since.

Texts are cut into the blocks of their keys and named items, as the reader sees these, and whole
blocks are taken from one side or the other: a comment goes where the key below it goes. What both
sides changed, each in its own way, is a conflict; the person's stays.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from codex32.engine.reading.blocks import above, bounds, is_block
from codex32.engine.reading.document import Place, read_documents
from codex32.engine.reading.writing import yaml_text
from codex32.kernel.errors import BotInvalid
from codex32.kernel.json_values import JSON, canonical
from codex32.services.bots.diff import parts_of

_GONE: Final[Any] = object()
_HASH: Final = re.compile(r"[ \t]+#")


@dataclass(frozen=True, slots=True)
class Conflict:
    """What both sides changed.

    Attributes:
      path: Dotted; steps go by their ids: ``steps.fetch.with.url``.
      base: As it was; None where it was not there, and so of the others.
      mine: As the person wrote it: what stands in the merged text.
      theirs: As it was proposed.
    """

    path: str
    base: JSON
    mine: JSON
    theirs: JSON

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        return {"path": self.path, "base": self.base, "mine": self.mine, "theirs": self.theirs}


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged text; where there are conflicts, it holds the person's side of them."""

    text: str
    conflicts: Sequence[Conflict]


def merge(base: str, mine: str, theirs: str) -> Merged:
    """Put what ``theirs`` changed of ``base`` into ``mine``.

    Args:
      base: The text of one bot, of which both were made.
      mine: As a person edited it since.
      theirs: As it is proposed.

    Raises:
      BotInvalid: One of them is no YAML of one bot, or comments and merged values cannot be
        brought together; nothing was merged then.
    """
    conflicts: list[Conflict] = []
    wanted = _values(_value(base), _value(mine), _value(theirs), (), conflicts)
    text = _texts(base, mine, theirs)
    if canonical(_value(text)) != canonical(wanted):
        raise BotInvalid("the texts cannot be merged; write the bot anew, or by hand", ())
    return Merged(text, conflicts)


def _value(text: str) -> JSON:
    documents = read_documents(text)
    problems = [problem for each in documents for problem in each.problems]
    if problems or len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise BotInvalid("a text that is to be merged must be the YAML of one bot:", problems)
    return documents[0].value


# values


def _values(
    base: Any, mine: Any, theirs: Any, path: tuple[str, ...], conflicts: list[Conflict]
) -> Any:
    chosen = _chosen(base, mine, theirs)
    if chosen is not None:
        return (mine, theirs)[chosen]
    parts = [_parts(each) for each in (base, mine, theirs)]
    if parts[1] is None or parts[2] is None or isinstance(mine, list) != isinstance(theirs, list):
        told = [None if each is _GONE else each for each in (base, mine, theirs)]
        conflicts.append(Conflict(".".join(path), *told))
        return mine
    old, here, there = (each or {} for each in parts)
    if isinstance(mine, list) and _moved(old, here) and _moved(old, there):
        orders = [list(each) for each in (old, here, there)]
        if _common(here, there) != _common(there, here):
            conflicts.append(Conflict(".".join((*path, "(order)")), *orders))
    made = {
        name: value
        for name in _order(old, here, there, moves=isinstance(mine, list))
        if (
            value := _values(
                old.get(name, _GONE),
                here.get(name, _GONE),
                there.get(name, _GONE),
                (*path, name),
                conflicts,
            )
        )
        is not _GONE
    }
    return list(made.values()) if isinstance(mine, list) else made


def _chosen(base: Any, mine: Any, theirs: Any) -> int | None:
    """Whose value it is: mine (0), theirs (1), or both changed it (None)."""
    if _same(theirs, base) or _same(mine, theirs):
        return 0
    return 1 if _same(mine, base) else None


def _same(one: Any, other: Any) -> bool:
    if one is _GONE or other is _GONE:
        return one is other
    # In order, for steps are done in it; True is not 1.
    return canonical(one) == canonical(other)


def _parts(value: Any) -> Mapping[str, Any] | None:
    """What can be merged by name; lists only where all items are named."""
    if isinstance(value, list) and not all(
        isinstance(each, Mapping) and ("id" in each or "name" in each) for each in value
    ):
        return None
    return parts_of(value) if value is not _GONE else None


def _order(
    base: Iterable[str], mine: Iterable[str], theirs: Iterable[str], *, moves: bool
) -> list[str]:
    """Mine, and what is new behind whatever it stands behind in theirs.

    Where ``moves`` says that the order means something, and theirs alone has changed it, theirs
    leads.
    """
    if moves and not _moved(base, mine) and _moved(base, theirs):
        mine, theirs = theirs, mine
    order = list(mine)
    before: str | None = None
    for name in theirs:
        if name not in order:
            order.insert(0 if before is None else order.index(before) + 1, name)
        before = name
    return order


def _moved(base: Iterable[str], after: Iterable[str]) -> bool:
    """Whether what is still there stands in another order."""
    return _common(base, after) != _common(after, base)


def _common(one: Iterable[str], other: Iterable[str]) -> list[str]:
    known = set(other)
    return [name for name in one if name in known]


# texts: each is a value, or a key with its value, written from column 0 on


def _texts(base: str, mine: str, theirs: str) -> str:
    chosen = _chosen(*(_any(each) for each in (base, mine, theirs)))
    if chosen == 0:
        return mine
    for cut in (_keys, _items):
        old, here, there = cut(base), cut(mine), cut(theirs)
        if here is None or there is None:
            continue
        made = [here.head]
        before = old.blocks if old is not None else ()
        for name in _order(before, here.blocks, there.blocks, moves=cut is _items):
            sides = [each.blocks.get(name) if each else None for each in (old, here, there)]
            if (block := _block(name, *sides, items=cut is _items)) is not None:
                made.append(block)
        return "".join(made)
    return theirs if chosen else mine


def _block(
    name: str, base: _Block | None, mine: _Block | None, theirs: _Block | None, *, items: bool
) -> str | None:
    was, here, there = (_GONE if each is None else each.value for each in (base, mine, theirs))
    chosen = _chosen(was, here, there)
    if mine is None or theirs is None:
        taken = mine if not chosen else theirs
        return None if taken is None else taken.whole
    if chosen == 0:
        return mine.whole
    if mine.inner is not None and theirs.inner is not None:
        # Also where only theirs is other, for the sake of comments further in.
        old = base.inner if base is not None else None
        return mine.around(_texts(old or "", mine.inner, theirs.inner))
    if chosen is None:
        merged = _values(was, here, there, (), [])
        if _same(merged, here):
            return mine.whole
        return mine.comments + _noted(yaml_text([merged] if items else {name: merged}), mine)
    said = base.comments if base is not None else ""
    comments = mine.comments if theirs.comments in ("", said) else theirs.comments
    text = theirs.whole[len(theirs.comments) :]
    return comments + (text if _tail(text) else _noted(text, mine))


def _noted(text: str, mine: _Block) -> str:
    """A text with the comment that stands behind what it takes the place of."""
    tail = _tail(mine.whole[len(mine.comments) :])
    if not tail:
        return text
    first, end, rest = text.partition("\n")
    noted = f"{first}{tail}{end}{rest}"
    # Within a text of several lines it would be a part of that.
    return noted if _same(_any(noted), _any(text)) else f"{tail.lstrip()}\n{text}"


def _tail(text: str) -> str:
    """The comment that ends a text of one line, with the blanks before it; else nothing."""
    line = text.rstrip("\n")
    if "\n" in line or " #" not in line:
        return ""
    value = _any(text)
    for found in _HASH.finditer(line):
        if _same(_any(line[: found.start()]), value):
            return line[found.start() :]
    return ""


@dataclass(frozen=True, slots=True)
class _Block:
    """The text of one key or item.

    Attributes:
      comments: Directly above it.
      head: The line of the key, or the dash; what is inside begins behind it.
      inner: The text of what is inside, from column 0 on; None where it begins on the line.
      indent: Columns of ``inner`` in the text.
    """

    value: JSON
    whole: str
    comments: str = ""
    head: str = ""
    inner: str | None = None
    indent: int = 2

    def around(self, inner: str) -> str:
        """The block with something else inside."""
        text = textwrap.indent(inner, " " * self.indent)
        if self.head == "-":
            text = "-" + text[1:]
            return self.comments + text
        return self.comments + self.head + text


@dataclass(frozen=True, slots=True)
class _Cut:
    head: str
    blocks: Mapping[str, _Block]


def _keys(text: str) -> _Cut | None:
    """A mapping by its keys; None where it is none in block style."""
    lines, place, value = _read(text)
    if place is None or not isinstance(value, dict) or not place.keys:
        return None
    if not is_block(lines, place, ""):
        return None
    blocks = {}
    limits = bounds(lines, place, len(lines))
    for key, (start, stop) in limits.items():
        line = place.keys[key][0]
        inner = place.parts[key]
        whole = _joined(lines[start:stop])
        below = lines[line + 1 : stop]
        nested = inner.line > line and inner.style is None and isinstance(value[key], dict | list)
        blocks[str(key)] = _Block(
            value[key],
            whole,
            comments=_joined(lines[start:line]),
            head=_joined(lines[line : line + 1]),
            inner=_dedented(below, inner.column) if nested else None,
            indent=inner.column,
        )
    first = limits[next(iter(limits))][0]
    return _Cut(_joined(lines[:first]), blocks)


def _items(text: str) -> _Cut | None:
    """A list by the names of its items; None where it is none in block style."""
    lines, place, value = _read(text)
    names = parts_of(value) if isinstance(value, list) else None
    if place is None or not names or _parts(value) is None:
        return None
    items = list(place.parts.values())
    if any(lines[each.line][: each.column].strip() != "-" or not each.keys for each in items):
        return None  # in flow style
    starts = [above(lines, each.line, place.column) for each in items]
    blocks = {}
    for (name, item), at, start, stop in zip(
        names.items(), items, starts, [*starts[1:], len(lines)], strict=True
    ):
        first = lines[at.line].replace("-", " ", 1)
        inner = [first, *lines[at.line + 1 : stop]]
        block = is_block(inner, _raised(at), " " * at.column)
        blocks[name] = _Block(
            item,
            _joined(lines[start:stop]),
            comments=_joined(lines[start : at.line]),
            head="-",
            inner=_dedented(inner, at.column) if block else None,
            indent=at.column,
        )
    return _Cut(_joined(lines[: starts[0]]), blocks)


def _raised(place: Place) -> Place:
    """A place in lines that begin with its own."""
    raised = Place(0, place.column, place.style)
    raised.keys = {key: (line - place.line, at) for key, (line, at) in place.keys.items()}
    return raised


def _read(text: str) -> tuple[list[str], Place | None, JSON]:
    documents = read_documents(text)
    if len(documents) != 1:
        return [], None, None
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return lines, documents[0].place, documents[0].value


def _any(text: str) -> Any:
    return _read(text)[2]


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _dedented(lines: Sequence[str], columns: int) -> str:
    return _joined([line[min(columns, len(line) - len(line.lstrip(" "))) :] for line in lines])
