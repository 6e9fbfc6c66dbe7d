"""MCP servers while a test runs: their tools are known, and none is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codex32.kernel.contracts.llm import Tool
from codex32.kernel.contracts.mcp import McpCaller, McpKeeper, McpResult
from codex32.kernel.errors import StepFault


class McpDouble(McpKeeper):
    """Offers what is pinned, which no server has to be asked for.

    Args:
      keeper: Reads the pins; None where there are none.
      uncovered: Makes the fault of what no mock stands in for.
    """

    def __init__(self, keeper: McpKeeper | None, uncovered: Callable[[str], StepFault]) -> None:
        self._keeper, self._uncovered = keeper, uncovered

    async def tools(self, caller: McpCaller, server: str) -> Sequence[Tool]:
        """What is pinned, for any workspace; a test has one of its own, which no server names."""
        if self._keeper is None:
            raise StepFault("there are no MCP servers here")
        return await self._keeper.tools(replace(caller, workspace="*"), server)

    async def call(
        self,
        caller: McpCaller,
        server: str,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        timeout_seconds: float,
    ) -> McpResult:
        """Servers are outside."""
        raise self._uncovered(f"it would call {tool} of the MCP server {server}")
