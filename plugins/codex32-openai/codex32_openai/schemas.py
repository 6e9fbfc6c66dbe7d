"""JSON Schemas that the service keeps to the letter, and those for which it only tries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Words that strict mode does not take, or takes only by models of today.
_UNKNOWN = frozenset(
    {
        *("allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"),
        *("patternProperties", "propertyNames", "minProperties", "maxProperties"),
        *("unevaluatedProperties", "contains", "minContains", "maxContains", "uniqueItems"),
        *("minLength", "maxLength", "default", "prefixItems", "unevaluatedItems"),
    }
)


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema closed against further properties, or None if strict mode cannot keep it.

    What fits the closed schema fits the one that was given. A property that may be missing and a
    map of whatever names have no strict form.
    """
    try:
        return _closed(schema)
    except _Open:
        return None


class _Open(Exception):
    """The schema has no strict form."""


def _closed(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or not schema or _UNKNOWN & set(schema):
        raise _Open
    closed = dict(schema)
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        more = schema.get("additionalProperties", True)
        if more not in (False, True) or (more and not properties):
            raise _Open
        if set(schema.get("required", ())) != set(properties):
            raise _Open
        closed["additionalProperties"] = False
        closed["properties"] = {name: _closed(part) for name, part in properties.items()}
    for word in ("$defs", "definitions"):
        if word in schema:
            closed[word] = {name: _closed(part) for name, part in schema[word].items()}
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    if "anyOf" in schema:
        closed["anyOf"] = [_closed(part) for part in schema["anyOf"]]
    return closed
