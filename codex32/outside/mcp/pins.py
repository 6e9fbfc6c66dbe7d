"""What servers offered when an operator looked: only that is used, and only as it was.

It stands in a file beside the settings, so that it is read, reviewed and shipped as they are. A
server that describes a tool in other words later may tell a model to do what nobody has read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from codex32.kernel.contracts.llm import Tool
from codex32.kernel.errors import StepFault
from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.kernel.json_values import canonical
from codex32.kernel.private_files import write_private

log = logging.getLogger(__name__)

FILE: Final = "codex32.mcp.json"
_MOST_TOLD = 10


class McpUnpinned(StepFault):
    """A tool of a server that no operator has looked at."""

    code = "mcp-unpinned"


class McpChanged(StepFault):
    """A server no longer offers what an operator has looked at; nothing was done."""

    code = "mcp-changed"


class Pins:
    """The file of pins; read anew when it has changed, so that no process has to start again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._servers: Mapping[str, Any] = {}

    def of(self, server: str) -> list[Tool]:
        """The tools of a server that may be used.

        Raises:
          McpUnpinned: There are none, or the file cannot be read.
        """
        pinned = self._read().get(server)
        if pinned is None:
            raise McpUnpinned(
                f"the tools of the MCP server {server} are not pinned; look at them with: codex32 "
                f"mcp tools {server}; and pin them with: codex32 mcp pin {server}"
            )
        try:
            tools = [Tool(**each) for each in pinned["tools"]]
            told = pinned["digest"]
        except (KeyError, TypeError):
            raise self._unreadable(f"{server} has no tools as they are written there") from None
        if told != digest(tools):
            raise self._unreadable(f"the tools of {server} were changed by hand")
        return tools

    def keep(self, server: str, tools: Sequence[Tool]) -> None:
        """Pin these tools of a server, and no others.

        A file that cannot be read is put aside, and this server is the only one in the new one.
        """
        ordered = sorted(tools, key=lambda tool: tool.name)
        pinned = {"digest": digest(ordered), "tools": [asdict(tool) for tool in ordered]}
        try:
            others = self._read()
        except McpUnpinned as fault:
            aside = self.path.with_name(f"{self.path.name}.unreadable")
            os.replace(self.path, aside)
            log.warning("%s; what it held is in %s", fault.message, aside.name)
            others = {}
        servers = dict(sorted({**others, server: pinned}.items()))
        text = json.dumps({"servers": servers}, indent=2, ensure_ascii=False)
        write_private(self.path, f"{text}\n")
        self.path.chmod(0o644)  # nothing in it is secret, and those who serve must read it

    def _read(self) -> Mapping[str, Any]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return {}
        seen = (found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            try:
                document = parse_foreign(self.path.read_bytes())
            except (NotJson, OSError) as error:
                raise self._unreadable(str(error)) from None
            servers = document.get("servers") if isinstance(document, Mapping) else None
            if not isinstance(servers, Mapping):
                raise self._unreadable("it names no servers")
            self._servers, self._seen = servers, seen
        return self._servers

    def _unreadable(self, why: str) -> McpUnpinned:
        return McpUnpinned(f"{self.path.name} cannot be taken: {why}; pin anew: codex32 mcp pin")


def digest(tools: Sequence[Tool]) -> str:
    """What tells one list of tools from another."""
    whole = canonical([asdict(tool) for tool in sorted(tools, key=lambda tool: tool.name)])
    return f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def differences(pinned: Sequence[Tool], offered: Sequence[Tool]) -> list[str]:
    """What is other with the tools that are pinned, a line each; new ones do not matter."""
    there = {tool.name: tool for tool in offered}
    found = []
    for tool in pinned:
        now = there.get(tool.name)
        if now is None:
            found.append(f"{tool.name} is gone")
            continue
        if now.description != tool.description:
            found.append(f"{tool.name} is described in other words")
        if canonical(now.schema) != canonical(tool.schema):
            found.append(f"{tool.name} takes other arguments")
    return found


def require_same(
    server: str, pinned: Sequence[Tool], offered: Sequence[Tool], left_out: Sequence[str] = ()
) -> None:
    """Refuse a server that has changed.

    Args:
      server: Its name.
      pinned: What was looked at.
      offered: What it offers now.
      left_out: What it offers beside that cannot be used, in words; a pinned tool may be in it.

    Raises:
      McpChanged: Names what is other.
    """
    if found := differences(pinned, offered):
        more = f" and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
        more += f" (left out: {'; '.join(left_out)})" if left_out else ""
        raise McpChanged(
            f"the tools of the MCP server {server} have changed since they were pinned: "
            f"{'; '.join(found[:_MOST_TOLD])}{more}. Look at them with: codex32 mcp "
            f"tools {server}; and if they are well, pin them anew with: codex32 mcp pin {server}"
        )
