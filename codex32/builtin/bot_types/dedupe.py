"""What was not seen before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from codex32 import JSON, Allow, BotType, Outcome, StepContext, Succeeded, parse_duration

#: After so many keys the event loop gets its turn; evaluating one takes some microseconds.
_BREATH = 200


class DedupeBotType(BotType):
    """Passes on only items whose key this step has not seen in any execution."""

    name: ClassVar[str] = "dedupe"
    summary: ClassVar[str] = "Pass on only items that were not seen before."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "description": "The items to look through."},
            "key": {
                "type": "string",
                "format": "expression",
                "variables": ["item"],
                "description": "What makes an item the same as another; the whole item if absent.",
            },
            "keep": {
                "type": "string",
                "format": "duration",
                "description": "How long a key is remembered; for ever if absent.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {"type": "array"}

    def foreign(self, params: Mapping[str, JSON], allow: Allow) -> bool:
        """It adds nothing to what it is given."""
        return False

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Ask which keys are new, and keep their items in order."""
        items, keep = params["items"], params.get("keep")
        keys = await _keys(context, items, params.get("key"))
        new = await context.unseen(keys, keep_seconds=parse_duration(keep) if keep else None)
        return Succeeded([item for item, unseen in zip(items, new, strict=True) if unseen])


async def _keys(context: StepContext, items: list[JSON], expression: str | None) -> list[str]:
    keys = []
    for number, item in enumerate(items, 1):
        key = context.evaluate(expression, item=item) if expression else item
        keys.append(json.dumps(key, sort_keys=True, separators=(",", ":")))
        if number % _BREATH == 0:
            await asyncio.sleep(0)
    return keys
