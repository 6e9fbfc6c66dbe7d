"""Filters as SQL over the columns ``facts`` and ``numbers``; every value is a parameter."""

from __future__ import annotations

from typing import Any

from codex32 import AllOf, AnyOf, Between, Equals, Filter, Not, OneOf, fact


def condition(where: Filter, values: list[Any]) -> str:
    """The condition that means the same; its parameters are added to ``values``.

    It is never unknown, so that ``NOT`` of it means what it says.
    """
    match where:
        case Equals(key, value):
            values.append([fact(key, value)])
            return "facts @> %s::text[]"
        case OneOf(key, options):
            values.append([fact(key, option) for option in options])
            return "facts && %s::text[]"
        case Between():
            return _between(where, values)
        case AllOf(parts):
            return "(" + " AND ".join(["TRUE", *(condition(p, values) for p in parts)]) + ")"
        case AnyOf(parts):
            return "(" + " OR ".join(["FALSE", *(condition(p, values) for p in parts)]) + ")"
        case Not(part):
            return f"(NOT {condition(part, values)})"


def _between(where: Between, values: list[Any]) -> str:
    values.append(where.key)
    tests = ["numbers ? %s"]
    bounds = (
        (">=", where.at_least),
        (">", where.above),
        ("<=", where.at_most),
        ("<", where.below),
    )
    for sign, bound in bounds:
        if bound is not None:
            values.extend((where.key, bound))
            tests.append(f"coalesce((numbers ->> %s)::float8 {sign} %s, FALSE)")
    return "(" + " AND ".join(tests) + ")"
