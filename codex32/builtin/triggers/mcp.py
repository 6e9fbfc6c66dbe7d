"""What clients of the Model Context Protocol ask for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from codex32 import JSON, TriggerType


class McpTrigger(TriggerType):
    """Makes its bot a tool of the house's MCP server; what is asked comes through the API."""

    name: ClassVar[str] = "mcp"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "description": {
                "type": "string",
                "maxLength": 2000,
                "description": "What clients are told it is for; default: the bot's description.",
            },
        },
        "description": "Makes the bot a tool for clients of the Model Context Protocol.",
        "examples": [{}],
    }
    timed: ClassVar[bool] = False

    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        """Never: it has no times."""
        return None
