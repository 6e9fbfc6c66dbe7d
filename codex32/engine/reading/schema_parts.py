"""The small schemas that the bot file's are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

_SPANS: Final[Schema] = {"pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"}
DURATION: Final[Schema] = {
    "type": "string",
    **_SPANS,
    # What is written well may still be longer than any duration may be, which is said otherwise.
    "if": _SPANS,
    "then": {"format": "duration"},
    "errorMessage": "is no duration; write for example 500ms, 30s, 10m, 2h or 7d",
}
SIZE: Final[Schema] = {
    "type": "string",
    "pattern": r"^\d+(\.\d+)?\s*(B|KiB|MiB|GiB|KB|MB)$",
    "errorMessage": "is no size; write for example 64KiB, 1MiB or 2GiB",
}
NAME: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9-]{0,62}$",
    "errorMessage": "a bot's name is a small letter, then at most 62 small letters, digits and -",
}
ID: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9_]{0,62}$",
    "not": {"enum": ["in", "true", "false", "null"]},
    "errorMessage": "an id is a small letter, then at most 62 small letters, digits and _, "
    "and none of in, true, false, null",
}
TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 1}
#: What the guard of connections would not read would permit nothing, and nobody be told.
HOST: Final[Schema] = {
    "type": "string",
    "pattern": r"^((\*\.)?[^\s/*@\[\]:]+|\[[0-9A-Fa-f:.]+\]"
    r"|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)(:\d{1,5})?$",
    "errorMessage": "is no host; write for example api.example.com, *.example.com or "
    "api.example.com:8443, without https:// and without a path",
}
TEXTS: Final[Schema] = {"type": "array", "items": TEXT}
CONDITION: Final[Schema] = {"type": ["string", "boolean"]}
EXPRESSION: Final[Schema] = {"type": "string", "pattern": r"\$\{\{"}


def told(schema: Mapping[str, Any], description: str) -> Schema:
    """``schema`` with a description, which editors show."""
    return {**schema, "description": description}


def closed(properties: Mapping[str, Any], *required: str) -> Schema:
    """An object that has these properties and no others."""
    schema: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
    }
    return {**schema, "required": list(required)} if required else schema
