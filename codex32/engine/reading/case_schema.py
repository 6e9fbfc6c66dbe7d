"""The JSON Schema of ``tests`` in a bot file: what stands in for the outside, and what must come.

docs/howto/test-a-bot.md tells it to people.
"""

from __future__ import annotations

from typing import Any, Final

from codex32.engine.reading.schema_parts import CONDITION, TEXT, WHOLE, closed, told

Schema = dict[str, Any]

_ANYTHING: Final[Schema] = {}
_STATUSES: Final = ("succeeded", "failed", "cancelled", "skipped", "waiting")
_STEP_STATUSES: Final = (
    *("pending", "running", "waiting", "succeeded", "failed", "skipped", "cancelled", "unknown"),
)
_ANSWER_KEYS: Final[dict[str, Schema]] = {
    "output": told(_ANYTHING, "What the step answers; of a foreach step the list of answers."),
    "error": told(TEXT, "The step fails, and says this."),
    "code": told(TEXT, "The fault's stable word."),
    "retryable": told({"type": "boolean"}, "Whether trying again can help; default false."),
}
_ANSWER: Final = closed(_ANSWER_KEYS)
_ANSWERS: Final[Schema] = {"type": "array", "items": _ANSWER, "minItems": 1}
#: What stands in for one step.
STEP_MOCK: Final = closed(
    {
        **_ANSWER_KEYS,
        "tries": told(_ANSWERS, "One answer a try; the last one serves all further ones."),
        "items": told(_ANSWERS, "One answer an item of foreach."),
    }
)
#: What other machines answer: the first that fits a request, and is not used up, serves it.
HTTP_MOCKS: Final[Schema] = {
    "type": "array",
    "items": closed(
        {
            "url": told(TEXT, "Of the request, query included; * stands for anything."),
            "method": told(TEXT, "Default: any."),
            "if": told(CONDITION, "CEL over request: method url headers body json."),
            "status": told({"type": "integer", "minimum": 100, "maximum": 599}, "Default 200."),
            "headers": told({"type": "object", "additionalProperties": TEXT}, "Of the answer."),
            "body": told(_ANYTHING, "A text as it is; all else as JSON."),
            "error": told(
                {"enum": ["unreachable", "cut", "timeout"]}, "No answer comes, for this reason."
            ),
            "times": told(WHOLE, "How many requests it serves; default: all."),
        },
        "url",
    ),
}
#: What stands in for all steps of one bot type, such as notify.
TYPE_MOCKS: Final[Schema] = {
    "type": "array",
    "items": closed(
        {
            **_ANSWER_KEYS,
            "if": told(CONDITION, "CEL over params: what the step was given in with."),
            "times": told(WHOLE, "How many steps it serves; default: all."),
        }
    ),
}
_CALL: Final = closed(
    {
        "name": told(TEXT, "The tool's."),
        "arguments": told({"type": "object"}, "What it is given."),
    },
    "name",
)
#: What models answer: the first that fits a request, and is not used up, serves it.
LLM_MOCKS: Final[Schema] = {
    "type": "array",
    "items": closed(
        {
            **_ANSWER_KEYS,
            "model": told(TEXT, "Of the request; * stands for anything."),
            "if": told(CONDITION, "CEL over request: model prompt system messages tools."),
            "calls": told({"type": "array", "items": _CALL}, "The tools it asks for."),
            "cost_usd": told({"type": "number", "minimum": 0}, "What it would cost."),
            "times": told(WHOLE, "How many requests it serves; default: all."),
        }
    ),
}
_EXPECT_STEP: Final[Schema] = {
    "anyOf": [
        {"enum": list(_STEP_STATUSES)},
        closed(
            {
                "status": told({"enum": list(_STEP_STATUSES)}, "How it ended."),
                "output": told(_ANYTHING, "Of a mapping, the keys that are named."),
                "error": told(TEXT, "Stands in the message of its fault."),
                "tries": told(WHOLE, "How often it was tried."),
            }
        ),
    ],
    "errorMessage": f"must be one of {', '.join(_STEP_STATUSES)}, or a mapping with status, "
    "output, error and tries",
}
_EFFECT: Final = closed(
    {
        "step": told(TEXT, "The step's id."),
        "item": told({"type": "integer", "minimum": 0}, "Which item of its foreach."),
        "type": told(TEXT, "Its bot type."),
        "with": told({"type": "object"}, "What it was given; only the keys that are named."),
    }
)
_EXPECT: Final = closed(
    {
        "status": told({"enum": list(_STATUSES)}, "How the execution ends; default succeeded."),
        "cause": told(TEXT, "Why it failed."),
        "message": told(TEXT, "Stands in its message."),
        "output": told(_ANYTHING, "Exactly this is its output."),
        "steps": told(
            {"type": "object", "additionalProperties": _EXPECT_STEP}, "What becomes of steps."
        ),
        "state": told({"type": "object"}, "What the bot remembers afterwards, by key."),
        "effects": told(
            {"type": "array", "items": _EFFECT},
            "All that is done to the outside, in this order, and nothing else.",
        ),
        "cost_usd": told(
            {"type": "number", "minimum": 0}, "The most that its models may cost together."
        ),
        "that": told(
            {"type": "array", "items": CONDITION},
            "CEL that must hold, over status cause message output steps state effects cost_usd.",
        ),
    }
)
CASE: Final = closed(
    {
        "name": told({**TEXT, "minLength": 1}, "What is being shown; default: its number."),
        "inputs": told({"type": "object"}, "Inputs of the execution."),
        "trigger": told({"type": "object"}, "What expressions see as trigger; default manual."),
        "at": told(TEXT, "When it starts, ISO 8601 with zone; pauses pass at once."),
        "state": told({"type": "object"}, "What the bot remembers from before."),
        "secrets": told(
            {"type": "object", "additionalProperties": TEXT},
            "Values instead of the real ones, which are never used.",
        ),
        "mocks": told(
            {"type": "object"}, "Answers instead of the outside, by step id, http or bot type."
        ),
        "expect": told(_EXPECT, "How it must end."),
    }
)
