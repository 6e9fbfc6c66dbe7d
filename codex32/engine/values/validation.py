"""JSON Schema (draft 7) as the house uses it: every fault at once, in words people can act on.

Schemas of bot files are written by anybody: their patterns run in RE2, in linear time. A text
that holds an expression satisfies everything when a file is read: only the data can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

from codex32.engine.expressions import evaluate
from codex32.engine.reading.document import Path
from codex32.engine.values.fitting import surely_fits
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON
from codex32.kernel.text import did_you_mean

_WORDS: Final = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_BOUNDS: Final = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """What does not fit, at ``path`` below the value that was validated."""

    path: Path
    message: str
    code: str
    #: The key at the path is wrong, not its value.
    key: bool = False


class Validator:
    """A schema, ready to be held against values.

    Args:
      schema: Of draft 7, known to be sound.
      trusted: It comes from an installed component, not from a bot file.
      expressions: Texts that hold an expression fit everything.
      private: What is validated is somebody's own, and no message quotes it.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        trusted: bool = False,
        expressions: bool = False,
        private: bool = False,
    ) -> None:
        self._schema, self._kind = schema, (trusted, expressions)
        self._show = _kind_of if private else shown

    @cached_property
    def _validator(self) -> Any:
        from codex32.engine.values.dialect import FORMATS, KINDS

        return KINDS[self._kind](self._schema, format_checker=FORMATS)

    def findings(self, value: JSON) -> list[Finding]:
        """Everything about ``value`` that does not fit, in the order of the schema."""
        if surely_fits(self._schema, value):
            return []
        try:
            errors = self._validator.iter_errors(value)
            found = [each for error in errors for each in _explain(error, show=self._show)]
        except RecursionError:
            found = [Finding((), "is nested too deeply", "invalid")]
        except ExpressionFault as fault:
            found = [Finding((), f"cannot be checked: {fault.message}", "invalid")]
        return list(dict.fromkeys(found))


def load() -> None:
    """Load what checks values, which takes some hundredths of a second where it is not there."""
    import codex32.engine.values.dialect  # noqa: F401


def schema_findings(schema: JSON) -> list[Finding]:
    """What is wrong with a schema that anybody may have written.

    Beside draft 7 itself: no references, so that checking a value always ends, and patterns of
    RE2.
    """
    from codex32.engine.values.dialect import META

    found = [finding for error in META.iter_errors(schema) for finding in _explain(error)]
    return found or [*_unsafe(schema, ())]


def _unsafe(schema: JSON, path: Path) -> Iterator[Finding]:
    if isinstance(schema, list):
        for index, each in enumerate(schema):
            yield from _unsafe(each, (*path, index))
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        here = (*path, key)
        if key in ("default", "enum", "const", "examples"):
            continue
        if key == "$ref" and isinstance(value, str):
            yield Finding(here, "a schema cannot refer elsewhere; write it out", "schema", True)
        elif key == "pattern" and isinstance(value, str):
            yield from _bad_pattern(value, here)
        elif key == "patternProperties" and isinstance(value, Mapping):
            yield Finding(here, "is not offered here; name the properties", "schema", True)
        else:
            yield from _unsafe(value, here)


def _bad_pattern(pattern: str, path: Path) -> Iterator[Finding]:
    try:
        evaluate("'x'.matches(p)", {"p": pattern})
    except ExpressionFault as fault:
        yield Finding(path, f"is no pattern of RE2: {fault.message}", "schema")


def shown(value: JSON) -> str:
    """The value in a message: short, on one line."""
    if isinstance(value, Mapping | list):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _kind_of(value: JSON) -> str:
    """What the value is, in a message that must not quote it."""
    if isinstance(value, str):
        return "this text"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "this number"
    return shown(value)


_Show: TypeAlias = Callable[[JSON], str]


def _explain(error: Any, show: _Show = shown) -> Iterator[Finding]:
    here: Path = tuple(error.absolute_path)
    written = error.schema.get("errorMessage") if isinstance(error.schema, Mapping) else None
    value, wanted = error.instance, error.validator_value
    if error.validator == "type":
        written = None
    if "propertyNames" in error.absolute_schema_path:
        yield Finding((*here, value), f"{value!r}: {written or error.message}", "invalid", True)
        return
    match error.validator:
        case "additionalProperties" if isinstance(value, Mapping):
            yield from _unknown_keys(error, here)
        case "required":
            for name in wanted:
                if name not in value:
                    yield Finding(here, f"{name!r} is missing", "missing")
        case "anyOf" | "oneOf" if error.context and not written:
            yield from _branch(error, here, show)
        case _:
            message = written or _say(error.validator, value, wanted, error, show)
            yield Finding(here, message, _code(error))


def _code(error: Any) -> str:
    return {"type": "type", "enum": "value", "const": "value", "format": "format"}.get(
        error.validator, "invalid"
    )


def _unknown_keys(error: Any, here: Path) -> Iterator[Finding]:
    known = error.schema.get("properties", {})
    for key in error.instance:
        if key not in known:
            listed = f"known: {', '.join(sorted(known))}" if known else "none can be given here"
            message = f"unknown key {key!r}{did_you_mean(key, known)}; {listed}"
            yield Finding((*here, key), message, "unknown-key", True)


def _branch(error: Any, here: Path, show: _Show) -> Iterator[Finding]:
    """The faults of the branch that was most likely meant."""
    branches: dict[int, list[Any]] = {}
    for each in error.context:
        branches.setdefault(each.schema_path[0], []).append(each)
    fitting = [
        faults
        for faults in branches.values()
        if not any(
            f.validator == "type" and len(f.absolute_path) == len(error.absolute_path)
            for f in faults
        )
    ]
    if not fitting:
        kinds = [
            _words(f.validator_value)
            for fs in branches.values()
            for f in fs
            if f.validator == "type"
        ]
        message = f"must be {' or '.join(dict.fromkeys(kinds))}, not {show(error.instance)}"
        yield Finding(here, message, "type")
        return
    for each in min(fitting, key=len):
        yield from _explain(each, show)


def _words(types: Any) -> str:
    names = [types] if isinstance(types, str) else types
    return " or ".join(_WORDS.get(name, name) for name in names)


def _say(keyword: str, value: JSON, wanted: Any, error: Any, show: _Show) -> str:
    match keyword:
        case "type":
            return f"must be {_words(wanted)}, not {show(value)}"
        case "enum":
            listed = ", ".join(map(str, wanted))
            near = did_you_mean(value, map(str, wanted)) if isinstance(value, str) else ""
            return f"must be one of {listed}, not {show(value)}{near}"
        case "const":
            return f"must be {wanted!r}, not {show(value)}"
        case "format":
            told = error.cause is not None and show is shown
            return str(error.cause) if told else f"{show(value)} is no {wanted}"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            is_ = f", not {value}" if show is shown else ""
            return f"must be {_BOUNDS[keyword]} {wanted}{is_}"
        case "uniqueItems":
            return "an item stands twice"
        case "minItems" | "minLength" | "minProperties":
            return (
                "must not be empty"
                if wanted == 1
                else f"must have at least {wanted}, has {len(value)}"
            )
        case "maxItems" | "maxLength" | "maxProperties":
            return f"must have at most {wanted}, has {len(value)}"
        case "pattern":
            return f"{show(value)} does not match {wanted!r}"
        case "not":
            return f"{show(value)} cannot stand here"
    message: str = error.message
    short = show is shown and len(message) < 3 * _SHOWN
    return message if short else f"{show(value)} does not fit {keyword}"
