"""JSON Schemas as the service keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex32 import ModelFault


def kept_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema in the words that the service knows; the others become descriptions.

    What fits it may still not fit the schema that was given, so the answer is checked again.

    Raises:
      ModelFault: ``unsupported``: it lets maps of whatever names pass, which has no such form.
    """
    from anthropic import transform_schema

    if _is_open(schema):
        raise ModelFault("unsupported", "the service keeps no schema with maps of any names")
    try:
        return transform_schema(_plain(schema))
    except (AssertionError, AttributeError, TypeError, ValueError) as error:
        said = f"the service keeps no such schema ({type(error).__name__})"
        raise ModelFault("unsupported", said) from None


def _is_open(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(_is_open(part) for part in schema)
    if not isinstance(schema, Mapping):
        return False
    if schema.get("type") == "object" and not schema.get("properties"):
        return True
    if isinstance(schema.get("additionalProperties"), Mapping):
        return True
    parts = [part for name, part in schema.items() if name not in ("properties", "enum", "const")]
    return _is_open(parts) or _is_open(list(schema.get("properties", {}).values()))


def _plain(schema: Any) -> Any:
    """A list of types as alternatives, since the service takes one type a place."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    plain = {
        name: part if name in ("enum", "const", "required") else _plain(part)
        for name, part in schema.items()
    }
    if isinstance(types := schema.get("type"), list):
        rest = {name: part for name, part in plain.items() if name not in ("type", "description")}
        plain = {"anyOf": [_narrowed(rest, kind) for kind in types]}
        if "description" in schema:
            plain["description"] = schema["description"]
    return plain


def _narrowed(rest: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    return {"type": "null"} if kind == "null" else {"type": kind, **rest}
