"""What is asked of a record's metadata: a small tree, the same for every vector store.

Two-valued: what is not there does not equal anything, so its negation holds. ``True`` is no
number. Where metadata holds a list, it equals what one of its elements equals.
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

from codex32.kernel.json_values import JSON, canonical
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean
from codex32.kernel.vector_errors import FilterInvalid

Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Equals:
    """The metadata under ``key`` is ``value``, or a list that holds it."""

    key: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class OneOf:
    """The metadata under ``key`` equals one of ``values``; of none, nothing does."""

    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """The metadata under ``key`` is one number, within every bound that is given."""

    key: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; of no parts, everything does."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A part holds; of no parts, nothing does."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter: TypeAlias = Equals | OneOf | Between | AllOf | AnyOf | Not

#: What may be asked for by a filter; other keys are kept, and never match.
FILTER_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
#: Whole numbers from here on, and their like below zero, do not fit into 64 bits.
_WHOLE = 1 << 63
_LARGEST = int(sys.float_info.max)
#: Longer facts are told by their digest, so that an index of any store takes them.
_PLAIN_BYTES = 200


def fact(key: str, value: Scalar) -> str:
    """That ``key`` equals ``value``, as a text: ``source="handbook.md"``, ``year=2020``.

    Equal values give equal texts (``1`` and ``1.0``), others never do (``1``, ``"1"``, ``True``).
    At most 200 bytes of ASCII.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = f"{key}={canonical(value)}"
    if len(text) <= _PLAIN_BYTES:
        return text
    return f"{key}#{hashlib.sha256(text.encode()).hexdigest()}"


def facts(metadata: Mapping[str, JSON]) -> list[str]:
    """All that :class:`Equals` can ask of metadata, each fact once, in order.

    A store that keeps them as a list of texts beside the record answers ``Equals`` and ``OneOf``
    by looking for :func:`fact` in it, and needs to know nothing of keys and types.
    """
    found: dict[str, None] = {}
    for key, value in metadata.items():
        if FILTER_KEY.fullmatch(key):
            for each in value if isinstance(value, list | tuple) else [value]:
                if isinstance(each, str | int | float):
                    found[fact(key, each)] = None
    return list(found)


def numbers(metadata: Mapping[str, JSON]) -> dict[str, float]:
    """All that :class:`Between` can ask of metadata; whole numbers have at most 64 bits."""
    return {
        key: value if isinstance(value, float) or -_WHOLE <= value < _WHOLE else float(value)
        for key, value in metadata.items()
        if FILTER_KEY.fullmatch(key) and _is_number(value)
    }


def holds(where: Filter, metadata: Mapping[str, JSON]) -> bool:
    """Whether a filter holds of metadata: the meaning that every store must give it."""
    match where:
        case Equals(key, value):
            return fact(key, value) in facts({key: metadata.get(key)})
        case OneOf(key, values):
            return any(holds(Equals(key, value), metadata) for value in values)
        case Between(key):
            number = metadata.get(key)
            return _is_number(number) and all(keeps(number) for keeps in _bounds(where))
        case AllOf(parts):
            return all(holds(part, metadata) for part in parts)
        case AnyOf(parts):
            return any(holds(part, metadata) for part in parts)
        case Not(part):
            return not holds(part, metadata)


def read_filter(document: Mapping[str, JSON]) -> Filter:
    """A filter from JSON, as bot files and the API write it.

    ::

        source: handbook.md              # equals
        year: {$gte: 2020, $lt: 2024}    # $gt $gte $lt $lte, numbers
        tag: {$in: [red, green]}         # also $nin, $eq, $ne
        $or: [{lang: de}, {lang: en}]    # also $and, and $not with one filter

    All entries must hold. An empty document holds of everything.

    Raises:
      FilterInvalid: Something in it is not known; each fault is told with its place.
    """
    problems: list[Problem] = []
    tree = _all_of(document, "", problems)
    if problems:
        raise FilterInvalid(problems)
    return tree


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is one that can be compared; a whole number may be larger than any of these."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _bounds(where: Between) -> Iterator[Callable[[float], bool]]:
    if (least := where.at_least) is not None:
        yield lambda number: number >= least
    if (above := where.above) is not None:
        yield lambda number: number > above
    if (most := where.at_most) is not None:
        yield lambda number: number <= most
    if (below := where.below) is not None:
        yield lambda number: number < below


def _all_of(document: Any, path: str, problems: list[Problem]) -> Filter:
    if not isinstance(document, Mapping):
        problems.append(Problem("a filter is a mapping, such as {source: handbook.md}", path))
        return AllOf(())
    parts = tuple(
        part for key, value in document.items() for part in _entry(str(key), value, path, problems)
    )
    return parts[0] if len(parts) == 1 else AllOf(parts)


def _entry(key: str, value: Any, path: str, problems: list[Problem]) -> Iterator[Filter]:
    place = f"{path}.{key}" if path else key
    if key in ("$and", "$or"):
        items = value if isinstance(value, list) else [value]
        if not isinstance(value, list):
            problems.append(Problem(f"{key} takes a list of filters", place))
        read = tuple(_all_of(item, f"{place}.{n}", problems) for n, item in enumerate(items))
        yield AllOf(read) if key == "$and" else AnyOf(read)
    elif key == "$not":
        yield Not(_all_of(value, place, problems))
    elif not FILTER_KEY.fullmatch(key):
        hint = did_you_mean(key, ["$and", "$or", "$not"])
        problems.append(Problem(f"{key!r} is no key of metadata{hint}", place))
    elif isinstance(value, Mapping):
        for operator, operand in value.items():
            yield from _operation(key, str(operator), operand, place, problems)
    elif _is_scalar(value):
        yield Equals(key, value)
    else:
        problems.append(Problem("equals a text, a number, true or false; for lists: $in", place))


_RANGES = {"$gte": "at_least", "$gt": "above", "$lte": "at_most", "$lt": "below"}
_OPERATORS = ["$eq", "$ne", "$in", "$nin", *_RANGES]


def _operation(
    key: str, operator: str, operand: Any, path: str, problems: list[Problem]
) -> Iterator[Filter]:
    place = f"{path}.{operator}"
    if operator in _RANGES:
        if _is_number(operand):
            yield Between(key, **{_RANGES[operator]: operand})
        else:
            problems.append(Problem(f"{operator} takes a number", place))
    elif operator in ("$eq", "$ne"):
        if _is_scalar(operand):
            yield Equals(key, operand) if operator == "$eq" else Not(Equals(key, operand))
        else:
            problems.append(Problem(f"{operator} takes a text, a number, true or false", place))
    elif operator in ("$in", "$nin"):
        if isinstance(operand, list) and all(map(_is_scalar, operand)):
            within = OneOf(key, tuple(operand))
            yield within if operator == "$in" else Not(within)
        else:
            problems.append(Problem(f"{operator} takes a list of texts and numbers", place))
    else:
        hint = did_you_mean(operator, _OPERATORS)
        problems.append(Problem(f"there is no {operator!r}{hint}", place))


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int) or (
        isinstance(value, float) and math.isfinite(value)
    )
