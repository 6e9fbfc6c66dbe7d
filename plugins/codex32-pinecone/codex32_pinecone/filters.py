"""Filters as Pinecone's, over the metadata ``facts`` and ``n_KEY``.

Pinecone has no negation of a whole filter, so ``Not`` is carried down to the comparisons.
"""

from __future__ import annotations

from typing import Any

from codex32 import AllOf, AnyOf, Between, Equals, Filter, Not, OneOf, fact

#: Among the facts of every record.
EVERY = "#"
#: Followed by the key, among the facts of records where it is a number.
NUMBER = "#number:"


def pinecone_filter(where: Filter, *, negated: bool = False) -> dict[str, Any]:
    """The filter that means the same, or its opposite."""
    match where:
        case Equals(key, value):
            return _facts([fact(key, value)], negated)
        case OneOf(_, ()) | AnyOf(()):
            return _facts([EVERY], not negated)
        case AllOf(()):
            return _facts([EVERY], negated)
        case OneOf(key, values):
            return _facts([fact(key, value) for value in values], negated)
        case Between():
            return _between(where, negated)
        case AllOf(parts) | AnyOf(parts):
            both = isinstance(where, AllOf) is not negated
            each = [pinecone_filter(part, negated=negated) for part in parts]
            return {"$and" if both else "$or": each}
        case Not(part):
            return pinecone_filter(part, negated=not negated)


def _facts(wanted: list[str], negated: bool) -> dict[str, Any]:
    return {"facts": {"$nin" if negated else "$in": wanted}}


def _between(where: Between, negated: bool) -> dict[str, Any]:
    key = f"n_{where.key}"
    tests = (
        ("$gte", "$lt", where.at_least),
        ("$gt", "$lte", where.above),
        ("$lte", "$gt", where.at_most),
        ("$lt", "$gte", where.below),
    )
    parts = [_facts([NUMBER + where.key], negated)]
    parts += [
        # Pinecone's numbers are such, and its client sends no whole ones beyond 64 bits.
        {key: {opposite if negated else operator: float(bound)}}
        for operator, opposite, bound in tests
        if bound is not None
    ]
    return {"$or" if negated else "$and": parts}
