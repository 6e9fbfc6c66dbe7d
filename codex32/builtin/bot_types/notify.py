"""Telling people and other systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from codex32 import JSON, BotType, Effect, Notification, Outcome, StepContext, Succeeded


class NotifyBotType(BotType):
    """Sends a notification through an installed notifier."""

    name: ClassVar[str] = "notify"
    summary: ClassVar[str] = "Send a notification."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["to", "text"],
        "properties": {
            "to": {
                "type": "string",
                "format": "notifier",
                "description": "The notifier, such as log or webhook.",
            },
            "target": {
                "type": "string",
                "default": "",
                "description": "Where to, in the notifier's own form: an address, a URL.",
            },
            "text": {"type": "string", "description": "What is told."},
            "title": {"type": "string", "default": "", "description": "A headline."},
            "data": {"type": "object", "description": "More, for machines."},
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {"id": {"type": "string"}},
        "required": ["id"],
    }

    def effect(self, params: Mapping[str, JSON]) -> Effect:
        """Once; the engine knows the notifiers that make it idempotent."""
        return Effect.ONCE

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Send, under the key that all tries of this step share."""
        notification = Notification(
            params["text"],
            title=params.get("title", ""),
            data=params.get("data", {}),
            idempotency_key=context.step.idempotency_key,
        )
        receipt = await context.notify(params["to"], notification, params.get("target", ""))
        return Succeeded({"id": receipt.id})
