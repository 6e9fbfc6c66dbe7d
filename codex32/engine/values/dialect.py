"""The keywords of draft 7 as the house checks them, on the library ``jsonschema``.

It is imported by the first value that has to be checked: what runs bots that were checked long
ago does without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import jsonschema
from jsonschema.exceptions import ValidationError

from codex32.engine.expressions import evaluate, holds_expression
from codex32.kernel.json_values import canonical
from codex32.kernel.text import parse_duration


def _pattern(
    validator: Any, pattern: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not evaluate("t.matches(p)", {"t": instance, "p": pattern}):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _unique(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list) and len({*map(canonical, instance)}) < len(instance):
        yield ValidationError("an item stands twice")


_PLAIN: Final = frozenset({"type", "description", "default", "examples"})
_PYTHON: Final = {"string": str, "boolean": bool, "array": list, "object": dict}


def _properties(
    validator: Any, properties: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    """The standard's check, but for what most properties are: of a plain type, and fitting.

    It halves the time that reading a bot file takes.
    """
    if not isinstance(instance, Mapping):
        return
    for name, value in instance.items():
        if name not in properties:
            continue
        wanted = properties[name]
        kind = wanted.get("type") if isinstance(wanted, Mapping) else None
        if isinstance(kind, str) and type(value) is _PYTHON.get(kind) and wanted.keys() <= _PLAIN:
            continue
        yield from validator.descend(value, wanted, path=name, schema_path=name)


_STANDARD: Final[Mapping[str, Callable[..., Any]]] = {
    **jsonschema.Draft7Validator.VALIDATORS,
    "properties": _properties,
    "uniqueItems": _unique,
}


def _lenient(keyword: str, check: Callable[..., Any]) -> Callable[..., Any]:
    # Of several branches an expression fits all, so "exactly one" becomes "any".
    several = _STANDARD["anyOf"] if keyword == "oneOf" else check

    def relaxed(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        if isinstance(instance, str) and "${{" in instance:
            return ()
        chosen = several if keyword == "oneOf" and holds_expression(instance) else check
        return chosen(validator, value, instance, schema)

    return relaxed


def _is_duration(value: object) -> bool:
    if isinstance(value, str):
        parse_duration(value)
    return True


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or (":" in value and not any(map(str.isspace, value)))


FORMATS: Final[Any] = jsonschema.FormatChecker(formats=())
FORMATS.checks("duration", raises=ValueError)(_is_duration)
FORMATS.checks("uri")(_is_uri)
_Strict: Final[Any] = jsonschema.validators.create(
    meta_schema=jsonschema.Draft7Validator.META_SCHEMA,
    validators=_STANDARD,
    type_checker=jsonschema.Draft7Validator.TYPE_CHECKER,
    format_checker=FORMATS,
)
_Foreign: Final[Any] = jsonschema.validators.extend(_Strict, {"pattern": _pattern})


def _relaxed(kind: Any) -> Any:
    checks = {name: _lenient(name, check) for name, check in kind.VALIDATORS.items()}
    return jsonschema.validators.extend(kind, checks)


#: Validators by whether the schema is trusted, and whether texts with expressions fit.
KINDS: Final[Mapping[tuple[bool, bool], Any]] = {
    (True, False): _Strict,
    (True, True): _relaxed(_Strict),
    (False, False): _Foreign,
    (False, True): _relaxed(_Foreign),
}
#: Checks schemas themselves.
META: Final[Any] = _Strict(jsonschema.Draft7Validator.META_SCHEMA)
