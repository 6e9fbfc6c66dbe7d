"""From a syntax tree to a function of the scope, with names and places for what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from codex32.engine.cel.functions import Type, function
from codex32.engine.cel.tree import Call, Const, Fold, Ident, ListOf, MapOf, Node, Select, count
from codex32.engine.cel.values import MAX_ITEMS, NOTHING, Frame, Optional, type_name
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.text import did_you_mean

Program = Callable[[Frame], Any]
Place = Callable[[Frame], str]
_TYPE_NAMES = frozenset(
    {"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint", "type"}
)
_SHOWN_KEYS = 12


def build(node: Node) -> Program:
    """The program of a tree; run it with a fresh :class:`Frame`.

    Raises:
      ExpressionFault: The tree holds something this house does not offer.
    """
    match node:
        case Const(value):
            return lambda frame: value
        case Ident(name):
            return _ident(name)
        case Select():
            return _select(node)
        case Call("_&&_", (left, right)):
            return _logic(build(left), build(right), False)
        case Call("_||_", (left, right)):
            return _logic(build(left), build(right), True)
        case Call("_?_:_", (condition, then, other)):
            return _choice(build(condition), build(then), build(other))
        case Call():
            return _call(node)
        case ListOf():
            return _list(node)
        case MapOf():
            return _map(node)
        case Fold():
            return _fold(node)


def place(node: Node) -> Place:
    """A function that tells where the value of ``node`` comes from: ``steps.a.output[3].x``."""
    match node:
        case Ident(name):

            def named(frame: Frame) -> str:
                origin = frame.places.get(name)
                return f"{origin[0](frame)}[{origin[1]}]" if origin else name

            return named
        case Select(operand, field):
            above = place(operand)
            return lambda frame: f"{above(frame)}.{field}"
        case Call("_[_]", (value, Const(key))):
            above = place(value)
            return lambda frame: f"{above(frame)}[{key!r}]"
        case Call(name):
            return lambda frame: f"{name.strip('_@') or name}(…)"
    return lambda frame: "the value"


def _ident(name: str) -> Program:
    def ident(frame: Frame) -> Any:
        if name in frame.locals:
            return frame.locals[name]
        try:
            return frame.scope[name]
        except KeyError:
            if name in _TYPE_NAMES:
                return Type("null" if name == "null_type" else name)
            raise ExpressionFault(f"{name} is not in scope here") from None

    return ident


def _select(node: Select) -> Program:
    operand, field, where = build(node.operand), node.field, place(node.operand)

    def select(frame: Frame) -> Any:
        value = operand(frame)
        try:
            return value[field]
        except (KeyError, TypeError, IndexError):
            if type(value) is Optional:
                held = value.value
                if isinstance(held, Mapping):
                    return Optional(held.get(field, NOTHING))
                return Optional(NOTHING)
            raise _missing(where(frame), field, value) from None

    def test(frame: Frame) -> bool:
        value = operand(frame)
        if type(value) is Optional:
            value = {} if value.value is NOTHING else value.value
        if isinstance(value, Mapping):
            return field in value
        raise _missing(where(frame), field, value)

    return test if node.test else select


def _missing(where: str, field: str, value: Any) -> ExpressionFault:
    if not isinstance(value, Mapping):
        what = type_name(value)
        hint = f"; an item of it is {where}[0]" if what == "list" else ""
        return ExpressionFault(f"{where}.{field}: {where} is {what}, which has no keys{hint}")
    keys = [str(key) for key in value]
    more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
    there = f"there are: {', '.join(keys[:_SHOWN_KEYS])}{more}" if keys else "it is empty"
    return ExpressionFault(
        f"{where}.{field}: no such key{did_you_mean(field, keys[:1000])}; {there}"
    )


def _logic(left: Program, right: Program, decisive: bool) -> Program:
    """``&&`` and ``||``: a side that decides makes a fault of the other side harmless."""
    name = "||" if decisive else "&&"

    def logic(frame: Frame) -> bool:
        try:
            first = _bool(left(frame), name)
        except ExpressionFault:
            if frame.left >= 0 and _bool(right(frame), name) is decisive:
                return decisive
            raise
        return first if first is decisive else _bool(right(frame), name)

    return logic


def _bool(value: Any, name: str) -> bool:
    if type(value) is bool:
        return value
    raise ExpressionFault(f"{name} takes true or false, not {type_name(value)}")


def _choice(condition: Program, then: Program, other: Program) -> Program:
    def choice(frame: Frame) -> Any:
        return then(frame) if _bool(condition(frame), "? :") else other(frame)

    return choice


def _call(node: Call) -> Program:
    call = function(node.function, node.member)
    args = tuple(map(build, node.args))
    if len(args) == 2:
        first, second = args
        return lambda frame: call(frame, first(frame), second(frame))
    return lambda frame: call(frame, *[arg(frame) for arg in args])


def _list(node: ListOf) -> Program:
    elements = [(build(each), i in node.optional) for i, each in enumerate(node.elements)]

    def make(frame: Frame) -> list[Any]:
        out = []
        for element, optional in elements:
            value = element(frame)
            if not optional:
                out.append(value)
            elif value.value is not NOTHING:
                out.append(value.value)
        return out

    return make


def _map(node: MapOf) -> Program:
    entries = [(build(key), build(value), optional) for key, value, optional in node.entries]

    def make(frame: Frame) -> dict[Any, Any]:
        out = {}
        for key, value, optional in entries:
            name, held = key(frame), value(frame)
            if type(name) is not str:
                raise ExpressionFault(f"a key of a map is {type_name(name)}; write string(…)")
            if optional:
                held = held.value
            if held is not NOTHING:
                out[name] = held
        return out

    return make


def _fold(node: Fold) -> Program:
    if isinstance(node.range, ListOf) and not node.range.elements:
        return _binding(node)
    match node.step:
        case Call("_&&_", (_, predicate)):
            return _quantifier(node, predicate, False)
        case Call("_||_", (_, predicate)):
            return _quantifier(node, predicate, True)
        case Call("_?_:_", (predicate, Call("_+_", (_, ListOf((item,)))), _)):
            return _collect(node, item, predicate)
        case Call("_?_:_", (predicate, Call("_+_", (_, Const(1))), _)):
            return _exactly_one(node, predicate)
        case Call("_+_", (_, ListOf((item,)))):
            return _collect(node, item, None)
    raise ExpressionFault("this macro is not offered; see docs/reference/expressions.md")


def _binding(node: Fold) -> Program:
    """``optMap`` and its kin: one name for one value."""
    start, result, name = build(node.start), build(node.result), node.accumulator

    def bind(frame: Frame) -> Any:
        return _with(frame, name, start(frame), result)

    return bind


def _with(frame: Frame, name: str, value: Any, program: Program) -> Any:
    outer = frame.locals
    frame.locals = {**outer, name: value}
    try:
        return program(frame)
    finally:
        frame.locals = outer


Visit = Callable[[Frame, Any], bool]


def _visitor(node: Fold, body: Node) -> Callable[[Frame, Visit], None]:
    """Goes through the range; ``visit`` is told each item and says whether to stop."""
    range_, name = build(node.range), node.variable
    origin, cost = place(node.range), 2 + count(body)

    def go(frame: Frame, visit: Visit) -> None:
        items = range_(frame)
        is_list = type(items) is list
        if not is_list and not isinstance(items, Mapping):
            raise ExpressionFault(
                f"{origin(frame)} is {type_name(items)}; only lists and maps have items"
            )
        if len(items) > MAX_ITEMS:
            raise ExpressionFault(
                f"{origin(frame)} has {len(items)} items; an expression goes through at most "
                f"{MAX_ITEMS}, let a python step do it"
            )
        outer, places = frame.locals, frame.places
        frame.locals, frame.places = locals_, told = dict(outer), dict(places)
        from_here = _at(origin, places)
        try:
            for index, item in enumerate(items):
                frame.charge(cost)
                locals_[name] = item
                if is_list:
                    told[name] = (from_here, index)
                if visit(frame, item):
                    break
        finally:
            frame.locals, frame.places = outer, places

    return go


def _at(origin: Place, places: dict[str, Any]) -> Place:
    """``origin`` told among the ``places`` that held outside the comprehension."""

    def told(frame: Frame) -> str:
        inner, frame.places = frame.places, places
        try:
            return origin(frame)
        finally:
            frame.places = inner

    return told


def _quantifier(node: Fold, predicate: Node, decisive: bool) -> Program:
    go, test = _visitor(node, predicate), build(predicate)
    name = "exists" if decisive else "all"

    def quantify(frame: Frame) -> bool:
        found = not decisive
        fault: ExpressionFault | None = None

        def visit(frame: Frame, item: Any) -> bool:
            nonlocal found, fault
            try:
                found = _bool(test(frame), name)
            except ExpressionFault as error:
                if frame.left < 0:
                    raise
                fault = fault or error
            return found is decisive

        go(frame, visit)
        if fault and found is not decisive:
            raise fault
        return found

    return quantify


def _collect(node: Fold, item: Node, predicate: Node | None) -> Program:
    go, value = _visitor(node, node.step), build(item)
    test = build(predicate) if predicate else None

    def collect(frame: Frame) -> list[Any]:
        out: list[Any] = []

        def visit(frame: Frame, item: Any) -> bool:
            if test is None or _bool(test(frame), "filter"):
                out.append(value(frame))
            return False

        go(frame, visit)
        return out

    return collect


def _exactly_one(node: Fold, predicate: Node) -> Program:
    go, test = _visitor(node, predicate), build(predicate)

    def one(frame: Frame) -> bool:
        found = 0

        def visit(frame: Frame, item: Any) -> bool:
            nonlocal found
            found += _bool(test(frame), "exists_one")
            return False

        go(frame, visit)
        return found == 1

    return one
