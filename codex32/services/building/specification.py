"""What a description is understood as: the form that a model fills in, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from codex32.services.building.known import FROM_DATA

#: Where a wrong guess hurts; about anything else the model has to assume, and to say so.
RISKS: Final = ("recipient", "credential", "spend", "destructive", "host")


def _texts(about: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}, "description": about}


def _closed(properties: Mapping[str, Any], about: str = "") -> dict[str, Any]:
    told = {"description": about} if about else {}
    return {
        "type": "object",
        **told,
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


_QUESTION: Final = _closed(
    {
        "id": {"type": "string", "description": "A short word for it, such as recipient."},
        "about": {"type": "string", "enum": list(RISKS)},
        "question": {"type": "string"},
        "options": _texts("What may be answered; empty where anything may."),
        "default": {"type": "string", "description": "The safest answer: held if nobody answers."},
    }
)
#: The eight parts of a specification, what is assumed, and what has to be asked.
SPECIFICATION: Final = _closed(
    {
        "purpose": {"type": "string", "description": "In one sentence, for whoever asked."},
        "data_sources": _texts("Where data comes from."),
        "processing": _texts("What is done with it, in order."),
        "outputs": _texts("What comes out, and to whom."),
        "features": _texts("Triggers, schedules, limits, special cases."),
        "performance": {"type": "string", "description": "How often, how much, how fast."},
        "security": _texts("What must not happen."),
        "integrations": _closed(
            {
                "hosts": _texts("Host names that are spoken to."),
                "secrets": _texts("Names of secrets that are needed, never values."),
                "recipients": _texts(
                    "Who is told: addresses, chats, channels, webhook URLs, as the person wrote "
                    f"them; '{FROM_DATA}' where data decides; nothing for the log and secrets."
                ),
                "services": _texts("Whose services these are."),
            }
        ),
        "assumptions": _texts("What was not said and is taken for granted."),
        "questions": {
            "type": "array",
            "items": _QUESTION,
            "description": "At most three, only where a wrong guess would hurt.",
        },
    }
)
#: A bot as a model gives it.
DRAFT: Final = _closed(
    {
        "yaml": {"type": "string", "description": "The whole bot file, without tests."},
        "notes": {"type": "string", "description": "What whoever reads it should know."},
        "impossible": {
            "type": "string",
            "description": "Why it cannot be built with what is there; else empty.",
        },
    }
)
#: A bot that is mended as a model gives it.
MEND: Final = _closed(
    {
        **DRAFT["properties"],
        "python": {
            "type": "string",
            "description": "pytest for its Python, one file, if it has to be other; else empty.",
        },
    }
)
#: Its tests as a model gives them.
TESTS: Final = _closed(
    {
        "tests": {"type": "string", "description": "YAML: a list of tests, from its first dash."},
        "python": {
            "type": "string",
            "description": "pytest for the Python of the bot, one file; empty where it has none.",
        },
        "yaml": {
            "type": "string",
            "description": "The whole bot file, mended, where a test showed a fault; else empty.",
        },
    }
)
