"""Schemas of strangers, written so that the house can check by them and models take them.

Nothing is made stricter: what cannot be said here is left to the server, which checks for itself.
Parts of a schema fit more values than they did, so nothing may depend on a part that does not fit:
``oneOf`` becomes ``anyOf``, and ``not`` and ``if`` are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex32.kernel.json_values import JSON

#: References inside each other, and parts of one schema once they are written out.
_DEEPEST, _MOST_PARTS = 20, 5000
_LEFT_OUT = frozenset(
    {
        "$schema",
        "$id",
        "$anchor",
        "$comment",
        "$defs",
        "definitions",
        "patternProperties",
        "format",
        "not",
        "if",
        "then",
        "else",
        # Draft 7 does not know how often it may be contained: not at all, for instance.
        "contains",
    }
)
_DATA = frozenset({"default", "const", "enum", "examples"})


def plain(schema: Mapping[str, JSON]) -> dict[str, Any]:
    """The schema of an object, without references, and with patterns told and not checked."""
    try:
        written = _Writer(schema).of(schema, 0)
    except RecursionError:
        written = {}
    return {**written, "type": "object"} if isinstance(written, dict) else {"type": "object"}


class _Writer:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root, self._parts = root, 0

    def of(self, schema: JSON, depth: int) -> JSON:
        """One schema; anything where it cannot be told what it says."""
        self._parts += 1
        if not isinstance(schema, Mapping):
            return schema if isinstance(schema, bool) else {}
        if "$ref" in schema:
            return self._referred(schema, depth)
        if self._parts > _MOST_PARTS:
            return {}
        found: dict[str, JSON] = {}
        for key, value in schema.items():
            if key == "pattern":
                said = schema.get("description")
                told = f"Pattern: {value}"
                found["description"] = f"{said} {told}" if isinstance(said, str) else told
            elif key not in _LEFT_OUT and not (key == "description" and key in found):
                found[key] = value if key in _DATA else self._within(key, value, depth)
        # Names by pattern are no longer named; to close the rest would refuse them.
        if "patternProperties" in schema:
            found.pop("additionalProperties", None)
        # Draft 7 does not know the first ones, and would hold all against what is for the rest.
        if "prefixItems" in schema:
            found.pop("items", None)
        # Branches that differ by what is left out would fit both.
        if "oneOf" in found:
            found.setdefault("anyOf", found.pop("oneOf"))
        return found

    def _within(self, key: str, value: JSON, depth: int) -> JSON:
        if key == "properties" and isinstance(value, Mapping):
            return {name: self.of(each, depth) for name, each in value.items()}
        if isinstance(value, list):
            return [self.of(each, depth) if isinstance(each, Mapping) else each for each in value]
        return self.of(value, depth) if isinstance(value, Mapping) else value

    def _referred(self, schema: Mapping[str, Any], depth: int) -> JSON:
        """What is referred to, within the schema itself; nothing is ever fetched."""
        target: Any = self._root
        reference = schema["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#") or depth == _DEEPEST:
            return {}
        for part in filter(None, reference[1:].split("/")):
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if not isinstance(target, Mapping):
            return {}
        return self.of({**target, **beside}, depth + 1)
