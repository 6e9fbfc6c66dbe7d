"""The Model Context Protocol, as a server without sessions speaks it: one message at a time.

Spoken are the revisions with a handshake, up to 2025-11-25. Whatever carries the messages, HTTP or
a pipe, says who calls; nothing is remembered between two of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from codex32.engine.reading.schema_parts import NAME
from codex32.kernel.caller import Caller
from codex32.kernel.clock import Clock
from codex32.kernel.database import Door
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Status
from codex32.services.executions import executions
from codex32.services.executions.endings import Endings
from codex32.services.mcp.offering import KIND, Offered, Offering

REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
INTERNAL_ERROR = -32603
_VERSION: Final = version("codex32")
_NAME: Final = re.compile(NAME["pattern"])
_ID: Final = re.compile(r"exe_[0-9a-z]{1,40}")
#: Tools of one page, and seconds that a call waits for its execution to end.
_PAGE, WAIT_SECONDS = 100, 50.0
_ABOUT = (
    "Each tool executes a bot and answers with its output. One that takes long answers with the "
    "id of its execution, which goes on; execution_result waits for its output."
)
#: What tells how an execution ended that was not waited for. No bot has a name with such a line.
_RESULT: Final = "execution_result"
_RESULT_TOOL: Final = {
    "name": _RESULT,
    "description": "Waits for an execution that a tool began and did not wait for, and answers "
    "with its output.",
    "inputSchema": {
        "type": "object",
        "properties": {"id": {"type": "string", "description": "What the tool answered with."}},
        "required": ["id"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": True},
}


class _Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class McpServer:
    """Answers messages; belongs to one event loop."""

    def __init__(
        self, door: Door, offering: Offering, payloads: PayloadStore, clock: Clock
    ) -> None:
        self._door, self._offering = door, offering
        self._payloads, self._clock = payloads, clock
        self._endings = Endings(door)

    async def answer(self, message: JSON, caller: Caller) -> JSON:
        """The answer to a message, as JSON; None to what wants none.

        Args:
          message: As it was sent, read as JSON; anything.
          caller: In whose name; its workspace is the one that is served.
        """
        if not isinstance(message, Mapping) or message.get("jsonrpc") != "2.0":
            return failure(None, INVALID_REQUEST, "this is no message of JSON-RPC 2.0")
        method, identity = message.get("method"), message.get("id")
        if "id" not in message or not isinstance(method, str):
            return None  # a notification, or an answer to what was never asked
        if isinstance(identity, bool) or not isinstance(identity, str | int):
            return failure(None, INVALID_REQUEST, "id must be a text or a whole number")
        params = message.get("params", {})
        try:
            if not isinstance(params, Mapping):
                raise _Refused(INVALID_PARAMS, "params must be an object")
            result = await self._result(method, params, caller)
        except _Refused as refused:
            return failure(identity, refused.code, refused.message)
        return {"jsonrpc": "2.0", "id": identity, "result": result}

    async def _result(self, method: str, params: Mapping[str, Any], caller: Caller) -> JSON:
        match method:
            case "initialize":
                wanted = params.get("protocolVersion")
                return {
                    "protocolVersion": wanted if wanted in REVISIONS else REVISIONS[-1],
                    "capabilities": {"tools": {"listChanged": False}},
                    "serverInfo": {"name": "codex32", "version": _VERSION},
                    "instructions": _ABOUT,
                }
            case "ping":
                return {}
            case "tools/list":
                return await self._list(params, caller)
            case "tools/call":
                return await self._call(params, caller)
        raise _Refused(NO_METHOD, f"there is no method {method[:100]!r}")

    async def _list(self, params: Mapping[str, Any], caller: Caller) -> JSON:
        after = params.get("cursor") or ""
        if not isinstance(after, str) or not (after == "" or _NAME.fullmatch(after)):
            raise _Refused(INVALID_PARAMS, "cursor must be one that a list of tools came with")
        found = await self._offering.page(caller.workspace, after, _PAGE + 1)
        more = {"nextCursor": found[_PAGE - 1].due.bot_name} if len(found) > _PAGE else {}
        tools = [_tool(each) for each in found[:_PAGE]]
        return {"tools": tools if more or not (tools or after) else [*tools, _RESULT_TOOL], **more}

    async def _call(self, params: Mapping[str, Any], caller: Caller) -> JSON:
        name, arguments = params.get("name"), params.get("arguments") or {}
        if not isinstance(name, str) or not isinstance(arguments, Mapping):
            raise _Refused(INVALID_PARAMS, "name must be a text, and arguments an object")
        if name == _RESULT:
            return await self._result_of(arguments.get("id"), caller)
        # What is no name of a bot is not looked for: not every database takes every text.
        known = _NAME.fullmatch(name)
        offered = await self._offering.find(caller.workspace, name) if known else None
        if offered is None:
            raise _Refused(INVALID_PARAMS, f"there is no tool {name[:100]!r}")
        now = self._clock.micros()
        try:
            answer = await self._offering.start(offered, arguments, caller, now)
        except Codex32Error as error:
            return _told(error.message, failed=True)
        if answer.execution_id is None:
            return _told(f"nothing was started ({answer.decision}): {answer.detail}", failed=True)
        return await self._outcome(answer.execution_id, caller)

    async def _result_of(self, execution_id: JSON, caller: Caller) -> JSON:
        # What is no id is not looked for either.
        known = isinstance(execution_id, str) and _ID.fullmatch(execution_id)
        if not known or not await self._door.read(self._is_of, execution_id, caller):
            raise _Refused(INVALID_PARAMS, "id must be of an execution that you began by a tool")
        return await self._outcome(str(execution_id), caller)

    def _is_of(self, execution_id: str, caller: Caller) -> bool:
        """Whether the caller began it by a tool: who may start bots may not read all they do."""
        row = next(iter(executions.get_many([execution_id], workspace=caller.workspace)), None)
        if row is None or row.trigger_kind != KIND:
            return False
        by = self._payloads.unpack(row.id, row.trigger).get("by")
        return isinstance(by, Mapping) and (by["kind"], by["id"]) == (caller.kind, caller.id)

    async def _outcome(self, execution_id: str, caller: Caller) -> JSON:
        if not await self._endings.ended(execution_id, WAIT_SECONDS):
            return _told(f"it goes on as the execution {execution_id}; {_RESULT} waits for it")
        return await self._door.read(self._ended, execution_id, caller.workspace)

    def _ended(self, execution_id: str, workspace: str) -> JSON:
        row = executions.get(execution_id, workspace=workspace)
        if row.status in (Status.FAILED, Status.CANCELLED):
            why = f": {row.message}" if row.message else ""
            return _told(f"the execution {row.id} {row.status}{why}", failed=True)
        output = self._payloads.unpack(row.id, row.output)
        if row.status == Status.SKIPPED:
            return _told(f"the execution {row.id} was skipped: {row.message}")
        told = _told(output if isinstance(output, str) else dumps(output))
        if isinstance(output, Mapping):
            told["structuredContent"] = output
        return told


def failure(identity: str | int | None, code: int, message: str) -> dict[str, JSON]:
    """An error of JSON-RPC."""
    return {"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message}}


def _told(text: str, *, failed: bool = False) -> dict[str, JSON]:
    return {"content": [{"type": "text", "text": text}], "isError": failed}


def _tool(offered: Offered) -> JSON:
    return {
        "name": offered.due.bot_name,
        "description": offered.description,
        "inputSchema": dict(offered.schema),
    }
