"""What can be told of an expression before there is data: names, and fields a schema rules out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from codex32.engine.cel.tree import Call, Const, Fold, Ident, ListOf, Node, Select, children
from codex32.kernel.text import did_you_mean

Schema = Mapping[str, Any]
ANY: Schema = {}
_WHERE = {
    "item": "item is there inside foreach only",
    "index": "index is there inside foreach only",
    "failure": "failure is there inside on_failure only",
    "args": "args is there inside the tools of an agent only",
    "secrets": "secrets may stand in 'with' only",
    "steps": "no step has run by then, so steps cannot be used here",
    "inputs": "inputs cannot be used here; write what trigger holds",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The names an expression may use.

    Attributes:
      roots: Root name to the JSON Schema of its value. A closed object may carry ``elsewhere``:
        names that exist but cannot be used here, each with the sentence that says so.
        ``remedy`` says what to do about a name it does not have.
      types: What the type checker is told: pairs of variable and type, beside the roots.
    """

    roots: Mapping[str, Schema]
    types: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    #: No other name is told about, not even those that bot files know elsewhere.
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an expression, ``offset`` characters after its beginning."""

    offset: int
    message: str


def find_faults(tree: Node, scope: Scope) -> list[Fault]:
    """All uses of names that ``scope`` does not have."""
    found: list[Fault] = []
    _Walk(scope, found).schema(tree, {})
    return found


def uses_has(tree: Node) -> bool:
    """Whether ``has(…)`` stands anywhere in the tree."""
    return (isinstance(tree, Select) and tree.test) or any(map(uses_has, children(tree)))


def roots_of(tree: Node) -> frozenset[str]:
    """Root names that the tree reads, the variables of its own macros left out."""
    return frozenset(_roots(tree, frozenset()))


def fields_of(tree: Node, root: str) -> frozenset[str]:
    """Names read directly below ``root``: ``{"TOKEN"}`` of ``secrets.TOKEN``."""
    match tree:
        case Select(Ident(name), chosen) if name == root:
            return frozenset({chosen})
    return frozenset().union(*(fields_of(each, root) for each in children(tree)))


def members_of(tree: Node, root: str) -> frozenset[str | None]:
    """Names read below ``root``; None among them where it is read in any other way."""
    match tree:
        case Select(Ident(name), chosen) if name == root:
            return frozenset({chosen})
        case Call("_?._" | "_[?_]" | "_[_]", (Ident(name), Const(str(chosen)))) if name == root:
            return frozenset({chosen})
        case Ident(name) if name == root:
            return frozenset({None})
    return frozenset[str | None]().union(*(members_of(each, root) for each in children(tree)))


def _roots(tree: Node, bound: frozenset[str]) -> Iterator[str]:
    if isinstance(tree, Ident):
        if tree.name not in bound:
            yield tree.name
        return
    if isinstance(tree, Fold):
        inner = bound | {tree.variable, tree.accumulator}
        yield from _roots(tree.range, bound)
        yield from _roots(tree.start, bound)
        for each in (tree.condition, tree.step, tree.result):
            yield from _roots(each, inner)
        return
    for each in children(tree):
        yield from _roots(each, bound)


class _Walk:
    """Follows declared schemas through a tree; what it cannot follow may be anything."""

    def __init__(self, scope: Scope, found: list[Fault]) -> None:
        self._scope, self._found = scope, found

    def schema(self, node: Node, local: Mapping[str, Schema]) -> Schema:
        """The schema of the node's value; faults on the way are noted."""
        allowed = self._scope.roots
        match node:
            case Select(Ident("secrets") as operand, chosen, _, offset) if "secrets" in allowed:
                return self._member(operand, allowed["secrets"], chosen, offset)
            case Ident("secrets") if "secrets" in allowed:
                self._found.append(Fault(0, "secrets are used one by one: secrets.NAME"))
            case Ident(name):
                return self._root(name, local)
            case Select(operand, chosen, _, offset):
                return self._member(node.operand, self.schema(operand, local), chosen, offset)
            case Call("_?._" | "_[?_]" | "_[_]", (operand, Const(str(chosen))), _, offset):
                return self._member(operand, self.schema(operand, local), chosen, offset)
            case Call("_[_]", (operand, index)):
                self.schema(index, local)
                return _items(self.schema(operand, local))
            case Fold():
                return self._fold(node, local)
            case ListOf(elements):
                for each in elements:
                    self.schema(each, local)
                return {"type": "array"}
        for each in children(node):
            self.schema(each, local)
        return ANY

    def _root(self, name: str, local: Mapping[str, Schema]) -> Schema:
        if name in local:
            return local[name]
        if name in self._scope.roots:
            return self._scope.roots[name]
        if name in _WHERE:
            self._found.append(Fault(0, _WHERE[name]))
        return ANY

    def _member(self, operand: Node, schema: Schema, chosen: str, offset: int) -> Schema:
        named = schema.get("properties", {})
        if chosen in named:
            return named[chosen] if isinstance(named[chosen], Mapping) else ANY
        if message := _refusal(operand, schema, chosen, named):
            self._found.append(Fault(offset, message))
        more = schema.get("additionalProperties")
        return more if isinstance(more, Mapping) else ANY

    def _fold(self, node: Fold, local: Mapping[str, Schema]) -> Schema:
        over = self.schema(node.range, local)
        start = self.schema(node.start, local)
        inner = {**local, node.variable: _items(over), node.accumulator: start}
        for each in (node.condition, node.step, node.result):
            self.schema(each, inner)
        return ANY


def _refusal(operand: Node, schema: Schema, chosen: str, named: Schema) -> str | None:
    if chosen in (elsewhere := schema.get("elsewhere", {})):
        return str(elsewhere[chosen])
    if schema.get("additionalProperties") is False and "patternProperties" not in schema:
        if remedy := schema.get("remedy"):
            return f"{path(operand)} has no {chosen!r}; {remedy}"
        known = f"there are: {', '.join(named)}" if named else "there are none"
        return f"{path(operand)} has no {chosen!r}{did_you_mean(chosen, named)}; {known}"
    if schema.get("type") in ("string", "integer", "number", "boolean", "array", "null"):
        return f"{path(operand)} is {schema['type']} and has no {chosen!r}"
    return None


def _items(schema: Schema) -> Schema:
    items = schema.get("items")
    return items if schema.get("type") == "array" and isinstance(items, Mapping) else ANY


def path(node: Node) -> str:
    """The node as a person would write it, as far as it is a path."""
    match node:
        case Ident(name):
            return name
        case Select(operand, chosen):
            return f"{path(operand)}.{chosen}"
        case Call("_[_]", (operand, Const(key))):
            return f"{path(operand)}[{key!r}]"
    return "the value"
