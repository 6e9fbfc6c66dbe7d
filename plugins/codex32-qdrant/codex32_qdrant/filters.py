"""Filters as Qdrant's own, over the payload's ``facts`` and ``numbers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codex32 import AllOf, AnyOf, Between, Equals, Filter, Not, OneOf, fact

if TYPE_CHECKING:
    from qdrant_client import models


def qdrant_filter(where: Filter) -> models.Filter:
    """The filter that means the same."""
    from qdrant_client import models

    return models.Filter(must=[_condition(where)])


def _condition(where: Filter) -> Any:
    from qdrant_client import models

    nothing = models.HasIdCondition(has_id=[])
    match where:
        case Equals(key, value):
            return models.FieldCondition(
                key="facts", match=models.MatchValue(value=fact(key, value))
            )
        case OneOf(_, ()) | AnyOf(()):
            return nothing
        case OneOf(key, values):
            wanted = [fact(key, value) for value in values]
            return models.FieldCondition(key="facts", match=models.MatchAny(any=wanted))
        case Between():
            return models.FieldCondition(key=f'numbers."{where.key}"', range=_range(where))
        case AllOf(()):
            return models.Filter(must_not=[nothing])
        case AllOf(parts):
            return models.Filter(must=[_condition(part) for part in parts])
        case AnyOf(parts):
            return models.Filter(should=[_condition(part) for part in parts])
        case Not(part):
            return models.Filter(must_not=[_condition(part)])


def _range(where: Between) -> models.Range:
    from qdrant_client import models

    bounds = (where.at_least, where.above, where.at_most, where.below)
    # A range without bounds asks nothing; that there is a number must be asked all the same.
    least = -1.7e308 if bounds == (None,) * 4 else where.at_least
    return models.Range(gte=least, gt=where.above, lte=where.at_most, lt=where.below)
