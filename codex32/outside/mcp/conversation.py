"""One conversation with a server: the handshake, its tools, a call.

Whatever a server says is believed only as far as it was looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from codex32.kernel.contracts.llm import Tool
from codex32.kernel.contracts.mcp import McpResult
from codex32.kernel.json_values import JSON
from codex32.outside.mcp.line import Broken, Line

REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
_VERSION: Final = version("codex32")
#: Pages that a list of tools may have, and tools.
_MOST_PAGES, _MOST_TOOLS = 50, 500
_NAME: Final = re.compile(r"[\w./-]{1,128}", re.ASCII)
#: Of tools that are left out, how many are named; and of a name, how much is shown.
_MOST_LEFT, _LONGEST_SHOWN = 20, 60
_LONGEST_TOLD = 1000
#: What nobody sees who reads a description, and what a model is told by it all the same. The
#: joiner within an emoji is left.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ufe00-\ufe0e\U000e0000-\U000e0fff]"
)


class Refused(Exception):
    """The server answered a request with an error."""

    def __init__(self, code: object, told: str) -> None:
        super().__init__(told)
        self.code, self.told = code, told


class Conversation:
    """Speaks over a line; one request at a time.

    Args:
      line: Carries it.
      whose: Who may go on with it after a call; None: nobody.

    Attributes:
      offered: The tools that the server told of when it was last looked at.
      left_out: What it told of beside them that cannot be used; a line each.
    """

    def __init__(self, line: Line, whose: Hashable = None) -> None:
        self.line, self.whose = line, whose
        self.offered: Sequence[Tool] = ()
        self.left_out: Sequence[str] = ()
        self._number = 0

    async def open(self) -> None:
        """Shake hands.

        Raises:
          Broken, Refused: The server does not.
        """
        hello = await self._ask(
            "initialize",
            {
                "protocolVersion": REVISIONS[-1],
                "capabilities": {},
                "clientInfo": {"name": "codex32", "version": _VERSION},
            },
        )
        spoken = hello.get("protocolVersion")
        if spoken not in REVISIONS:
            raise Broken(f"speaks the revision {str(spoken)[:20]!r}, and none of {REVISIONS}")
        self.line.revision = spoken
        await self.line.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def look(self) -> None:
        """Have the server tell what it offers; for this and one call it may say only so much.

        Raises:
          Broken, Refused: The list makes no sense.
        """
        self.line.afresh()
        found: dict[str, Tool] = {}
        nameless: list[str] = []
        more: dict[str, JSON] = {}
        for _ in range(_MOST_PAGES):
            page = await self._ask("tools/list", more)
            for each in _list_in(page, "tools"):
                if not _NAME.fullmatch(name := _name(each)):
                    nameless.append(name)
                    continue
                tool = _tool(name, each)
                if name in found:
                    raise Broken(f"lists the tool {name} twice")
                found[name] = tool
            more = {"cursor": page.get("nextCursor")}
            # What it tells behind that is asked for no more: it may go on for ever.
            if more["cursor"] is None or len(found) > _MOST_TOOLS:
                break
        if more["cursor"] is not None and not found:
            raise Broken(f"lists no tools on {_MOST_PAGES} pages, and goes on")
        self.offered = list(found.values())[:_MOST_TOOLS]
        cut = more["cursor"] is not None or len(found) > _MOST_TOOLS
        self.left_out = _left_out(nameless, len(self.offered) if cut else None)

    async def call(self, tool: str, arguments: Mapping[str, JSON]) -> McpResult:
        """Have it do something.

        Raises:
          Broken, Refused: No answer that makes sense.
        """
        given = {"name": tool, "arguments": dict(arguments)}
        answer = await self._ask("tools/call", given)
        blocks = _list_in(answer, "content")
        texts = [str(each.get("text", "")) for each in blocks if each.get("type") == "text"]
        return McpResult(
            "\n".join(texts),
            answer.get("structuredContent"),
            tuple(each for each in blocks if each.get("type") != "text"),
            failed=answer.get("isError") is True,
        )

    async def _ask(self, method: str, params: Mapping[str, JSON]) -> Mapping[str, Any]:
        self._number += 1
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": dict(params)}
        answer = await self.line.ask(request)
        if isinstance(error := answer.get("error"), Mapping):
            raise Refused(error.get("code"), str(error.get("message", ""))[:_LONGEST_TOLD])
        result = answer.get("result")
        if not isinstance(result, Mapping):
            raise Broken(f"answers {method} with neither a result nor an error")
        return result


def _list_in(answer: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    found = answer.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise Broken(f"answers with {key} that are no list of objects")
    return found


def _name(told: Mapping[str, Any]) -> str:
    name = told.get("name")
    if not isinstance(name, str):
        raise Broken(f"lists a tool without a name: {str(name)[:_LONGEST_SHOWN]!r}")
    return name


def _tool(name: str, told: Mapping[str, Any]) -> Tool:
    description, schema = told.get("description") or "", told.get("inputSchema")
    if not isinstance(description, str) or not isinstance(schema, Mapping):
        raise Broken(f"lists the tool {name} without a description or a schema")
    return Tool(name, _seen(description), _seen(schema))


def _left_out(nameless: Sequence[str], first: int | None) -> list[str]:
    """What is said of tools that are not taken."""
    found = [
        f"{_seen(name)[:_LONGEST_SHOWN]!r}: a tool's name has 1 to 128 of A-Z a-z 0-9 _ - . /"
        for name in nameless[:_MOST_LEFT]
    ]
    if len(nameless) > _MOST_LEFT:
        found.append(f"{len(nameless) - _MOST_LEFT} more with such names")
    if first is not None:
        most = f"{_MOST_TOOLS} on {_MOST_PAGES} pages"
        found.append(f"all behind the first {first}: of one server no more are taken than {most}")
    return found


def _seen(value: Any) -> Any:
    """A value without the characters that nobody would see who looks at it."""
    match value:
        case str():
            return _UNSEEN.sub("", value)
        case Mapping():
            return {_seen(key): _seen(each) for key, each in value.items()}
        case list():
            return [_seen(each) for each in value]
        case _:
            return value
