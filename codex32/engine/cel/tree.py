"""The syntax tree of a checked expression, read from the library's serialized form.

The wire form is Protocol Buffers, message ``cel.expr.CheckedExpr`` of
https://github.com/google/cel-spec. Only what evaluation and checks need is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Const:
    """A literal."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ident:
    """A name; dotted where the checker resolved a declared variable such as ``inputs.url``."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """``operand.field``; with ``test``, ``has(operand.field)``."""

    operand: Node
    field: str
    test: bool
    #: Offset in the expression, in characters.
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function, an operator or a method; a method's target is the first argument."""

    function: str
    args: tuple[Node, ...]
    member: bool
    offset: int


@dataclass(frozen=True, slots=True)
class ListOf:
    """``[a, ?b]``; ``optional`` holds the places written with a question mark."""

    elements: tuple[Node, ...]
    optional: frozenset[int]


@dataclass(frozen=True, slots=True)
class MapOf:
    """``{key: value, ?key: value}``: triples of key, value and whether it is optional."""

    entries: tuple[tuple[Node, Node, bool], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """What the macros ``map filter all exists exists_one optMap`` stand for."""

    variable: str
    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


Node: TypeAlias = Const | Ident | Select | Call | ListOf | MapOf | Fold


def decode(serialized: bytes) -> Node:
    """The tree of an expression as ``Expression.serialize`` gave it."""
    checked = _Message(_Message(serialized).bytes(2))
    positions = {}
    for entry in _Message(checked.bytes(5)).all(4):
        if len(entry) == 4:
            # Both numbers below 128, as in all short expressions.
            positions[entry[1]] = entry[3]
        else:
            pair = _Message(entry)
            positions[pair.number(1)] = pair.number(2)
    return _node(checked.bytes(4), positions)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below."""
    match node:
        case Select():
            yield node.operand
        case Call():
            yield from node.args
        case ListOf():
            yield from node.elements
        case MapOf():
            for key, value, _ in node.entries:
                yield key
                yield value
        case Fold():
            yield from (node.range, node.start, node.condition, node.step, node.result)


def count(node: Node) -> int:
    """How many nodes the tree has, its root included."""
    return 1 + sum(map(count, children(node)))


class _Message:
    """The fields of one message, by number."""

    __slots__ = ("fields",)

    def __init__(self, data: bytes) -> None:
        self.fields: dict[int, list[Any]] = {}
        place = 0
        while place < len(data):
            tag, place = _varint(data, place)
            match tag & 7:
                case 0:
                    value: Any
                    value, place = _varint(data, place)
                case 1:
                    value, place = struct.unpack_from("<d", data, place)[0], place + 8
                case 2:
                    size, place = _varint(data, place)
                    value, place = data[place : place + size], place + size
                case kind:
                    raise ValueError(f"wire type {kind} is unknown")
            self.fields.setdefault(tag >> 3, []).append(value)

    def all(self, number: int) -> list[Any]:
        return self.fields.get(number, [])

    def bytes(self, number: int) -> bytes:
        found: list[bytes] = self.all(number)
        return found[-1] if found else b""

    def text(self, number: int) -> str:
        return self.bytes(number).decode()

    def number(self, number: int) -> int:
        found: list[int] = self.all(number)
        return found[-1] if found else 0


def _varint(data: bytes, place: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[place]
        place += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, place
        shift += 7


def _node(data: bytes, positions: dict[int, int]) -> Node:
    message = _Message(data)
    offset = positions.get(message.number(2), 0)
    for kind in message.fields:
        body = message.bytes(kind) if kind != 2 else b""
        match kind:
            case 3:
                return Const(_constant(body))
            case 4:
                return Ident(_Message(body).text(1))
            case 5:
                part = _Message(body)
                operand = _node(part.bytes(1), positions)
                return Select(operand, part.text(2), bool(part.number(3)), offset)
            case 6:
                return _call(_Message(body), offset, positions)
            case 7:
                part = _Message(body)
                elements = tuple(_node(each, positions) for each in part.all(1))
                return ListOf(elements, frozenset(_packed(part.all(2))))
            case 8:
                return MapOf(tuple(_entry(each, positions) for each in _Message(body).all(2)))
            case 9:
                return _fold(_Message(body), positions)
    return Const(None)


def _call(part: _Message, offset: int, positions: dict[int, int]) -> Call:
    args = [_node(each, positions) for each in part.all(3)]
    member = bool(part.all(1))
    if member:
        args.insert(0, _node(part.bytes(1), positions))
    return Call(part.text(2), tuple(args), member, offset)


def _entry(data: bytes, positions: dict[int, int]) -> tuple[Node, Node, bool]:
    part = _Message(data)
    key = _node(part.bytes(3), positions)
    return key, _node(part.bytes(4), positions), bool(part.number(5))


def _fold(part: _Message, positions: dict[int, int]) -> Fold:
    return Fold(
        variable=part.text(1),
        range=_node(part.bytes(2), positions),
        accumulator=part.text(3),
        start=_node(part.bytes(4), positions),
        condition=_node(part.bytes(5), positions),
        step=_node(part.bytes(6), positions),
        result=_node(part.bytes(7), positions),
    )


def _packed(values: list[Any]) -> Iterator[int]:
    for value in values:
        if isinstance(value, int):
            yield value
            continue
        place = 0
        while place < len(value):
            number, place = _varint(value, place)
            yield number


def _constant(data: bytes) -> Any:
    message = _Message(data)
    for kind, (value, *_) in message.fields.items():
        match kind:
            case 2:
                return bool(value)
            case 3:
                return value - (1 << 64) if value >> 63 else value
            case 6:
                return value.decode()
            case 4 | 5 | 7:
                return value
    return None
