"""Asking a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from codex32 import (
    JSON,
    Allow,
    ApprovalRequest,
    BotType,
    Clock,
    Failed,
    Outcome,
    Problem,
    StepContext,
    Succeeded,
    SystemClock,
    Waiting,
    parse_duration,
)


class ApproveBotType(BotType):
    """Waits until a person has approved or rejected, or until it is too late."""

    name: ClassVar[str] = "approve"
    summary: ClassVar[str] = "Ask a person, and wait for the decision without holding a worker."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["text"],
        "properties": {
            "text": {"type": "string", "minLength": 1, "description": "What shall be decided."},
            "to": {
                "type": ["string", "array"],
                "items": {"type": "string"},
                "description": "Who is asked: a name or several, for those who tell people.",
            },
            "form": {
                "type": "object",
                "format": "form",
                "description": "What is to be filled in: name to JSON Schema, like inputs.",
            },
            "expires": {
                "type": "string",
                "format": "duration",
                "description": "How long it can be decided; without it, for ever.",
            },
            "on_expire": {
                "enum": ["reject", "approve", "fail"],
                "default": "reject",
                "description": "What follows where nobody decides in time.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["approved", "by", "at", "form", "note"],
        "properties": {
            "approved": {"type": "boolean"},
            "by": {"type": ["string", "null"]},
            "at": {"type": "string"},
            "form": {"type": "object"},
            "note": {"type": ["string", "null"]},
        },
    }

    def __init__(self, clock: Clock = SystemClock.shared) -> None:
        self._clock = clock

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """What follows from expiring needs that it expires, and a form that can be left alone."""
        if "on_expire" not in params:
            return ()
        if "expires" not in params:
            message = "nothing expires without `expires`; write for example `expires: 2d`"
            return [Problem(message, path="on_expire", code="missing")]
        form = params.get("form")
        if params["on_expire"] != "approve" or not isinstance(form, Mapping):
            return ()
        return [
            Problem(
                "needs a default, since `on_expire: approve` fills in the form by itself",
                path=f"form.{name}",
                code="missing",
            )
            for name, schema in form.items()
            if isinstance(schema, Mapping) and "default" not in schema
        ]

    def foreign(self, params: Mapping[str, JSON], allow: Allow) -> bool:
        """What people who may decide write is no stranger's."""
        return False

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Ask once; called again afterwards, say what was decided."""
        on_expire = params.get("on_expire", "reject")
        form = params.get("form", {})
        waited = context.waited
        if waited is None:
            to = params.get("to", [])
            request = ApprovalRequest(
                text=params["text"],
                to=(to,) if isinstance(to, str) else tuple(to),
                form=form,
                on_expire=on_expire,
            )
            until = None
            if "expires" in params:
                until = self._clock.now() + timedelta(seconds=parse_duration(params["expires"]))
            return Waiting(until=until, approval=request)
        if waited.answer is not None:
            return Succeeded(waited.answer)
        if on_expire == "fail":
            return Failed(f"nobody decided within {params['expires']}", code="approval-expired")
        defaults = {
            name: schema["default"] for name, schema in form.items() if "default" in schema
        }
        return Succeeded(
            {
                "approved": on_expire == "approve",
                "by": None,
                "at": self._clock.now().isoformat(),
                "form": defaults,
                "note": None,
            }
        )
