"""Small faults in a step's Python: comparisons, boundaries, constants, what is returned.

The code is parsed and written anew, never run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any, Final

#: The neighbour of an operator, and where it has a boundary, the other side of it.
_COMPARED: Final[Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_RECKONED: Final[Mapping[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
_SIGNS: Final[Mapping[type[ast.AST], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.And: "and",
    ast.Or: "or",
}
#: What is wrong, the part of a node in which it is wrong, and what stands there instead.
_Change = tuple[str, str, Any]


def python_faults(code: str) -> Iterator[tuple[str, int, str]]:
    """Code with one fault each: what it is, in which line (from 1), and the code.

    Raises:
      SyntaxError: It is no Python.
    """
    tree = ast.parse(code)
    idle = _idle(tree)
    before = ast.unparse(tree)
    for node in list(ast.walk(tree)):
        if id(node) in idle:
            continue
        for what, field, instead in _changes(node):
            kept = getattr(node, field)
            setattr(node, field, instead)
            after = ast.unparse(ast.fix_missing_locations(tree))
            setattr(node, field, kept)
            if after != before:
                yield what, _line(node, kept), after


def _changes(node: ast.AST) -> Iterator[_Change]:
    match node:
        case ast.Compare(ops=ops):
            for place, op in enumerate(ops):
                for other in _COMPARED[type(op)]:
                    made = [*ops[:place], other(), *ops[place + 1 :]]
                    yield f"{_SIGNS[type(op)]} became {_SIGNS[other]}", "ops", made
        case ast.BoolOp(op=op):
            other_op: ast.boolop = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"{_SIGNS[type(op)]} became {_SIGNS[type(other_op)]}", "op", other_op
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _RECKONED:
            reckoned = _RECKONED[type(op)]
            yield f"{_SIGNS[type(op)]} became {_SIGNS[reckoned]}", "op", reckoned()
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare):
            yield f"{ast.unparse(test)} is negated", "test", ast.UnaryOp(ast.Not(), test)
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield "returns nothing", "value", ast.Constant(None)
        case ast.comprehension(ifs=[_, *_]):
            yield "filters nothing", "ifs", []
        case ast.Constant(value=value):
            yield from _constant(value)


def _constant(value: Any) -> Iterator[_Change]:
    match value:
        case bool():
            yield f"{value} became {not value}", "value", not value
        case int() | float():
            yield f"{value} became {value + 1}", "value", value + 1
        case "":
            yield "'' became 'changed'", "value", "changed"
        case str():
            yield f"{value!r} became ''", "value", ""


def _idle(tree: ast.Module) -> frozenset[int]:
    """Nodes that do nothing, docstrings above all: to change them is no fault."""
    return frozenset(
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _line(node: ast.AST, kept: Any) -> int:
    if isinstance(node, ast.comprehension):
        node = kept[0]
    return int(getattr(node, "lineno", 1))
