"""The JSON Schema of the bot file, of the plugins that are installed (draft 7).

Editors complete with it, the reader checks structure with the same tables, API bodies and
generated bots are held against it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from codex32.engine.reading.alert_schema import ALERT
from codex32.engine.reading.case_schema import CASE
from codex32.engine.reading.schema_parts import (
    CONDITION,
    DURATION,
    EXPRESSION,
    HOST,
    ID,
    NAME,
    SIZE,
    TEXT,
    TEXTS,
    WHOLE,
    Schema,
    closed,
    told,
)
from codex32.kernel.components import Components

_RETRY: Final = closed(
    {
        "attempts": told({**WHOLE, "maximum": 100}, "Tries in all, the first included."),
        "first": told(DURATION, "Wait after the first try; default 1s."),
        "factor": told({"type": "number", "minimum": 1}, "Each wait is this much longer."),
        "max": told(DURATION, "The longest wait; default 5m."),
    },
    "attempts",
)
_RATE: Final = closed(
    {
        "limit": told({**WHOLE, "maximum": 1_000_000}, "Starts in the time given by per."),
        "per": told(DURATION, "The time in which limit holds."),
        "key": told(TEXT, "Text with expressions: the resource; all who name it share it."),
    },
    "limit",
    "per",
)
_CONCURRENCY: Final = closed(
    {
        "limit": told(WHOLE, "Executions that may run at once."),
        "key": told(TEXT, "Text with expressions; each value has a limit of its own."),
        "when_full": told(
            {"enum": ["queue", "skip", "cancel_oldest"]}, "What happens to the rest."
        ),
        "max_queued": told({"type": "integer", "minimum": 0}, "Beyond these, one is skipped."),
    },
    "limit",
)
_MONEY: Final[Schema] = {"type": "number", "minimum": 0}
#: In what ``spend_usd`` limits models.
_SPANS: Final = ("execution", "day", "month")
_ALLOW: Final = closed(
    {
        "hosts": told({"type": "array", "items": HOST}, "Hosts that may be spoken to."),
        "secrets": told(TEXTS, "Names of secrets that may be used."),
        "models": told(TEXTS, "Models that may be asked, as provider:model."),
        "tools": told(TEXTS, "Tools an agent may call."),
        "bots": told(TEXTS, "Bots that may be executed."),
        "files": told(
            {"type": "array", "items": {"type": ["string", "object"]}},
            "Files that may be read or written.",
        ),
        "packages": told(TEXTS, "Python packages, pinned, that code may import."),
        "connections": told(TEXTS, "Database connections that may be used."),
        "mcp": told(TEXTS, "MCP servers whose tools may be used."),
        "spend_usd": told(
            closed({each: told(_MONEY, f"US dollars a {each}.") for each in _SPANS}),
            "What models may cost, in US dollars.",
        ),
        "memory": told(SIZE, "Memory of a program."),
        "cpu": told(DURATION, "Processor time of a program."),
        "processes": told(WHOLE, "Processes of a program."),
        "disk": told(SIZE, "Disk of a program."),
    }
)
#: Beside the one key that names a trigger's kind.
TRIGGER_KEYS: Final[Mapping[str, Schema]] = {
    "timezone": told(TEXT, "IANA name in which times of day are meant; default UTC."),
    "on_missed": told(
        {"enum": ["skip", "last", "all"]}, "What to make up for after a standstill; default skip."
    ),
    "overlap": told(
        {"enum": ["allow", "skip", "queue"]},
        "When an execution of this trigger is not done yet; default skip, for events and files "
        "allow.",
    ),
    "dedupe": told(TEXT, "Text with expressions; the same text is answered once."),
    "if": told(CONDITION, "CEL over trigger; where it is false nothing is started."),
    "inputs": told({"type": "object"}, "Inputs of the execution, with expressions over trigger."),
    "enabled": told({"type": "boolean"}, "Default true."),
}
_WITH: Final = told({"type": "object"}, "Parameters of the bot type.")
_WORK: Final[Mapping[str, Schema]] = {
    "type": told(TEXT, "The bot type that does the step."),
    "with": _WITH,
    "foreach": told(
        {"anyOf": [{"type": "array"}, EXPRESSION], "errorMessage": "must be a list or ${{ … }}"},
        "A list; the step is done once an item, and its output is the list of outputs.",
    ),
    "parallel": told({**WHOLE, "maximum": 1000}, "Items at once; default 1."),
    "on_item_error": told({"enum": ["fail", "collect"]}, "What a failed item does; default fail."),
    "repeat": told({"enum": ["safe"]}, "Doing the step twice does no harm."),
    "idempotency_key": told(TEXT, "Sent along, so that the other side ignores a repetition."),
}
_STEP_KEYS: Final[Mapping[str, Schema]] = {
    "id": told(ID, "Name of the step in this bot; steps.<id> in expressions."),
    **_WORK,
    "needs": told(
        {"type": "array", "items": TEXT},
        "Steps that must be done before; default: the one above.",
    ),
    "if": told(CONDITION, "CEL; the step is skipped where it is false."),
    "retry": told(_RETRY, "Further tries of this step."),
    "timeout": told(DURATION, "Limit of one try."),
    "on_error": told({"enum": ["fail", "continue"]}, "What a failure does; default fail."),
    "rate": told(_RATE, "How often this step may start, over all workers."),
}
STEP: Final = closed(_STEP_KEYS, "id", "type")
_STEPS: Final[Schema] = {"type": "array", "items": STEP}
_RETENTION: Final[Schema] = {
    "anyOf": [
        DURATION,
        closed({status: DURATION for status in ("succeeded", "failed", "cancelled", "skipped")}),
    ],
}
BOT_KEYS: Final[Mapping[str, Schema]] = {
    "name": told(NAME, "Default: the file's name without its ending."),
    "description": told(TEXT, "One sentence for people."),
    "labels": told(
        {"type": "object", "additionalProperties": TEXT}, "Texts to find and group bots by."
    ),
    "enabled": told({"type": "boolean"}, "Whether anything may start it; default true."),
    "triggers": told(
        {"type": "array", "items": {"type": "object", "properties": TRIGGER_KEYS}},
        "What starts the bot.",
    ),
    "inputs": told(
        {
            "type": "object",
            "additionalProperties": {"type": "object"},
            "propertyNames": {
                "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,62}$",
                "errorMessage": "an input's name is made of letters, digits and _",
            },
        },
        "Inputs by name, each a JSON Schema, with its default.",
    ),
    "allow": told(_ALLOW, "The capability manifest: what is not named is refused."),
    "concurrency": told(_CONCURRENCY, "How many executions may run at once."),
    "rate": told(_RATE, "How many executions may start in a time, over all workers."),
    "priority": told(
        {"type": "integer", "minimum": -1000, "maximum": 1000}, "Higher starts first; default 0."
    ),
    "timeout": told(DURATION, "Limit of the time an execution is running; default 1h."),
    "retry": told(_RETRY, "Further tries of steps that say nothing themselves."),
    "steps": told({**_STEPS, "minItems": 1}, "The work, from top to bottom."),
    **_WORK,
    "on_failure": told(_STEPS, "Steps done once when the execution fails."),
    "finally": told(_STEPS, "Steps done always, at the end."),
    "output": {"description": "The execution's output, with expressions."},
    "tests": told({"type": "array", "items": CASE}, "Executions to try without the outside."),
    "evals": told({"type": "array", "items": {"type": "object"}}, "Measured qualities."),
    "alerts": told({"type": "array", "items": ALERT}, "What people are told of."),
    "retention": told(_RETENTION, "How long executions are kept, in all or by status."),
}
#: What a file of alerts has: there is nothing to execute, and so nothing to say of that.
ALERTS_ALONE: Final = frozenset({"name", "description", "labels", "enabled", "allow", "alerts"})
_ALERTS_ALONE: Final[Schema] = {
    "required": ["alerts"],
    "not": {"anyOf": [{"required": [key]} for key in BOT_KEYS if key not in ALERTS_ALONE]},
}
#: Structure alone, whatever is installed: what the reader holds a document against first.
STRUCTURE: Final = closed(BOT_KEYS)


def bot_schema(components: Components) -> Schema:
    """The schema of a bot file for these components, with ``with`` and trigger kinds spelt out."""
    step = {**STEP, **_typed(STEP["properties"], components)}
    work = _typed(BOT_KEYS, components)
    properties = {
        **work["properties"],
        "triggers": {**BOT_KEYS["triggers"], "items": _trigger(components)},
        **{
            key: {**BOT_KEYS[key], "items": {"$ref": "#/definitions/step"}}
            for key in ("steps", "on_failure", "finally")
        },
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Codex-32 bot",
        **closed(properties),
        "oneOf": [{"required": ["steps"]}, {"required": ["type"]}, _ALERTS_ALONE],
        "allOf": work["allOf"],
        "definitions": {"step": step},
    }


def _typed(properties: Mapping[str, Any], components: Components) -> Schema:
    types = components.bot_types
    summaries = [kind.summary for kind in types.values()]
    chosen = {**properties["type"], "enum": sorted(types), "x-enumDescriptions": summaries}
    return {
        "properties": {**properties, "type": chosen},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {
                    "properties": {"with": lenient(kind.params_schema)},
                    **({"required": ["with"]} if kind.params_schema.get("required") else {}),
                },
            }
            for name, kind in sorted(types.items())
        ],
    }


def _trigger(components: Components) -> Schema:
    kinds = {name: dict(kind.config_schema) for name, kind in components.trigger_types.items()}
    schema = closed({**kinds, **TRIGGER_KEYS})
    return (
        {**schema, "oneOf": [{"required": [name]} for name in sorted(kinds)]} if kinds else schema
    )


def lenient(schema: Any) -> Any:
    """``schema`` where every value may as well be a text with an expression."""
    if not isinstance(schema, Mapping):
        return schema
    out: Schema = dict(schema)
    for key in ("properties", "patternProperties", "definitions"):
        if isinstance(out.get(key), Mapping):
            out[key] = {name: _or_expression(each) for name, each in out[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(out.get(key), Mapping):
            out[key] = _or_expression(out[key])
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(out.get(key), Sequence):
            # Several branches may fit a text that is an expression.
            branches = [lenient(each) for each in out.pop(key)]
            out["allOf" if key == "allOf" else "anyOf"] = branches
    for key in ("if", "not", "then", "else", "dependencies", "contains"):
        # What only the data can tell is the reader's to judge.
        out.pop(key, None)
    return out


def _or_expression(schema: Any) -> Any:
    inner = lenient(schema)
    if not isinstance(inner, Mapping) or not _restricts(inner):
        return inner
    described = {key: inner[key] for key in ("description", "default", "examples") if key in inner}
    return {**described, "anyOf": [inner, EXPRESSION]}


def _restricts(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") != "string" or bool(
        schema.keys() & {"enum", "const", "pattern", "format", "minLength", "maxLength"}
    )
