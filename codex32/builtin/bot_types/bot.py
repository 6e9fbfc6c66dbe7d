"""Another bot as a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from codex32 import (
    JSON,
    BotType,
    ExecutionRef,
    Failed,
    Offer,
    Outcome,
    Skipped,
    Status,
    StepContext,
    Succeeded,
    Waiting,
)


class BotBotType(BotType):
    """Executes another bot, and waits for its output without holding a worker."""

    name: ClassVar[str] = "bot"
    summary: ClassVar[str] = "Execute another bot."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": "The bot; allow.bots must name it."},
            "inputs": {"type": "object", "description": "Its inputs."},
            "version": {
                "type": "integer",
                "minimum": 1,
                "description": "A version of it; default: the one that is live.",
            },
            "wait": {
                "type": "boolean",
                "default": True,
                "description": "Whether to wait for its output; else the output is "
                "{execution: its id}.",
            },
        },
    }

    async def offers(
        self, context: StepContext, params: Mapping[str, JSON]
    ) -> Sequence[Offer] | None:
        """The bot as a tool that takes its inputs, at the version it has by now."""
        card = await context.describe(params["name"], version=params.get("version"))
        schema = {
            "type": "object",
            "properties": {name: dict(each) for name, each in card.inputs.items()},
            "required": [name for name, each in card.inputs.items() if "default" not in each],
            "additionalProperties": False,
        }
        pinned = {"name": card.name, "version": card.version}
        return [Offer(card.name, card.description, schema, pinned, into="inputs")]

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Start the execution, or look at it again."""
        child = await context.execute(
            params["name"], params.get("inputs", {}), version=params.get("version")
        )
        if not params.get("wait", True):
            return Succeeded({"execution": child.id})
        if not child.ended:
            return Waiting(token=child.id)
        return _outcome(child)


def _outcome(child: ExecutionRef) -> Outcome:
    if child.status == Status.SUCCEEDED:
        return Succeeded(child.output)
    if child.status == Status.SKIPPED:
        return Skipped(f"{child.bot} skipped its execution {child.id}")
    error = child.error or {}
    reason = f": {error['message']}" if error.get("message") else ""
    return Failed(
        f"{child.bot} {child.status} in its execution {child.id}{reason}",
        code=error.get("code", "child-failed"),
        detail={"execution": child.id, "error": child.error},
    )
