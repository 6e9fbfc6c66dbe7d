"""A tool of an MCP server, as a step or as a tool of an agent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from codex32 import (
    JSON,
    BotType,
    Effect,
    Failed,
    McpResult,
    Offer,
    Outcome,
    Problem,
    ProviderUnavailable,
    StepContext,
    StepFault,
    Succeeded,
    Tool,
    parse_duration,
)
from codex32.builtin.bot_types.shown import beginning

_DEFAULT_TIMEOUT: Final = "60s"
#: Of what a step has left, what the call may take: so it is told which of the two was late.
_SHARE: Final = 0.95
#: What models do not take in a name, and how long a name may be.
_ODD: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME, _LONGEST_DESCRIPTION = 64, 4000


class McpBotType(BotType):
    """Calls one tool of a server that the settings name.

    What a server says of its tools, that they only read for instance, is never believed: a call
    changes something unless the author of the bot says otherwise.
    """

    name: ClassVar[str] = "mcp"
    summary: ClassVar[str] = "Call a tool of an MCP server."
    only_reads: ClassVar[bool] = True
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["server", "tool"],
        "properties": {
            "server": {
                "type": "string",
                "minLength": 1,
                "description": "Its name in the settings (mcp.servers); allow.mcp must name it.",
            },
            "tool": {"type": "string", "minLength": 1, "description": "A tool that is pinned."},
            "arguments": {"type": "object", "description": "What the tool is given."},
            "writes": {
                "type": "boolean",
                "default": True,
                "description": "Whether calling it changes something. Where it does not, a call "
                "that was cut off is made again.",
            },
            "binary": {
                "type": "boolean",
                "default": False,
                "description": "Whether pictures, sounds and files are kept, as base64; else only "
                "their type and size.",
            },
            "timeout": {
                "type": "string",
                "format": "duration",
                "default": _DEFAULT_TIMEOUT,
                "description": "Limit of the whole call, the start of the server included.",
            },
            "only": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Among the tools of an agent, instead of tool: which of those that "
                "are pinned. Default: all.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "data": {},
            "content": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["text", "data", "content"],
        "additionalProperties": False,
    }

    def effect(self, params: Mapping[str, JSON]) -> Effect:
        """Whether its author says that it changes nothing."""
        return Effect.NONE if params.get("writes", True) is False else Effect.ONCE

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """Whether it chooses among tools where there is one."""
        if "only" not in params:
            return ()
        message = "only chooses among the tools of an agent; here, tool says which"
        return [Problem(message, path="only", code="conflict")]

    async def offers(
        self, context: StepContext, params: Mapping[str, JSON]
    ) -> Sequence[Offer] | None:
        """The pinned tools of the server, or those of them that are named."""
        server = params.get("server")
        if not isinstance(server, str):
            raise StepFault("a tool of the type mcp needs a server", code="tool")
        pinned = {tool.name: tool for tool in await context.mcp.tools(server)}
        wanted = [params["tool"]] if "tool" in params else params.get("only", list(pinned))
        if missing := [name for name in wanted if name not in pinned]:
            there = ", ".join(pinned)
            message = (
                f"the MCP server {server} has no pinned tool {missing[0]!r}; there are: {there}"
            )
            raise StepFault(message, code="mcp-unpinned")
        kept = {key: value for key, value in params.items() if key != "only"}
        return [_offer(pinned[name], kept) for name in wanted]

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Call, and judge the answer."""
        server, tool = params["server"], params["tool"]
        limit = parse_duration(params.get("timeout", _DEFAULT_TIMEOUT))
        try:
            result = await context.mcp.call(
                server,
                tool,
                params.get("arguments", {}),
                timeout_seconds=min(limit, context.seconds_left * _SHARE),
            )
        except ProviderUnavailable as fault:
            if fault.fault_code == "mcp-unreachable" or self.effect(params) is not Effect.ONCE:
                raise
            return Failed(fault.message, retryable=True, unknown=True, code=fault.fault_code)
        output = _output(result, binary=params.get("binary", False))
        if result.failed:
            message = f"{tool} of the MCP server {server} failed: {result.text}"
            return Failed(beginning(message), code="mcp-tool-failed", detail=output)
        return Succeeded(output)


def _offer(tool: Tool, params: Mapping[str, JSON]) -> Offer:
    name = _ODD.sub("_", tool.name)[:_LONGEST_NAME]
    return Offer(
        name if name[0].isalpha() else f"t{name}"[:_LONGEST_NAME],
        tool.description[:_LONGEST_DESCRIPTION],
        tool.schema,
        {**params, "tool": tool.name},
        into="arguments",
    )


def _output(result: McpResult, *, binary: bool) -> dict[str, JSON]:
    content = [dict(each) if binary else _without_bytes(each) for each in result.content]
    text = "" if _repeats(result.text, result.data) else result.text
    return {"text": text, "data": result.data, "content": content}


def _repeats(text: str, data: JSON) -> bool:
    """Whether a text says as JSON what the data says already, as servers do for old clients."""
    if data is None:
        return False
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return bool(said == data or (isinstance(data, dict) and data == {"result": said}))


def _without_bytes(block: Mapping[str, Any]) -> dict[str, JSON]:
    told: dict[str, JSON] = {}
    for key, value in block.items():
        if key in ("data", "blob") and isinstance(value, str):
            told["bytes"] = len(value) * 3 // 4
        else:
            told[key] = _without_bytes(value) if isinstance(value, Mapping) else value
    return told
