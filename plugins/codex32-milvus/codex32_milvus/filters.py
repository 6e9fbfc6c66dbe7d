"""Filters as Milvus expressions. Values come in as JSON texts, so none can end its quotes."""

from __future__ import annotations

import json

from codex32 import AllOf, AnyOf, Between, Equals, Filter, Not, OneOf, fact

_ALWAYS = 'key != ""'
_NEVER = 'key == ""'
#: A record tells which of its metadata are numbers: what is missing makes no comparison unknown.
NUMBER = "#number:"


def expression(where: Filter) -> str:
    """The expression over the fields ``facts`` and ``numbers`` that means the same."""
    match where:
        case Equals(key, value):
            return f"array_contains(facts, {json.dumps(fact(key, value))})"
        case OneOf(_, ()) | AnyOf(()):
            return _NEVER
        case OneOf(key, values):
            wanted = json.dumps([fact(key, value) for value in values])
            return f"array_contains_any(facts, {wanted})"
        case Between():
            return _between(where)
        case AllOf(()):
            return _ALWAYS
        case AllOf(parts):
            return "(" + " and ".join(map(expression, parts)) + ")"
        case AnyOf(parts):
            return "(" + " or ".join(map(expression, parts)) + ")"
        case Not(part):
            return f"(not {expression(part)})"


def _between(where: Between) -> str:
    number = f"numbers[{json.dumps(where.key)}]"
    bounds = (
        (">=", where.at_least),
        (">", where.above),
        ("<=", where.at_most),
        ("<", where.below),
    )
    tests = [f"array_contains(facts, {json.dumps(NUMBER + where.key)})"]
    tests += [f"{number} {sign} {bound!r}" for sign, bound in bounds if bound is not None]
    return "(" + " and ".join(tests) + ")"
