"""MCP servers that answer what a test lays down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codex32 import JSON, McpResult, McpServers, StepFault, Tool


@dataclass
class FakeMcpServers(McpServers):
    """Keeps every call in ``calls``, as ``(server, tool, arguments)``.

    Attributes:
      pinned: Name of a server to its tools; another name is refused.
      answers: Name of a tool to what it answers, or to the fault that it raises.
    """

    pinned: dict[str, Sequence[Tool]] = field(default_factory=dict)
    answers: dict[str, McpResult | StepFault] = field(default_factory=dict)
    calls: list[tuple[str, str, Mapping[str, JSON]]] = field(default_factory=list)

    async def tools(self, server: str) -> Sequence[Tool]:
        """What ``pinned`` holds."""
        if server not in self.pinned:
            raise StepFault(f"the tools of {server} are not pinned", code="mcp-unpinned")
        return self.pinned[server]

    async def call(
        self,
        server: str,
        tool: str,
        arguments: Mapping[str, JSON],
        *,
        timeout_seconds: float,
    ) -> McpResult:
        """What ``answers`` holds."""
        self.calls.append((server, tool, arguments))
        answer = self.answers[tool]
        if isinstance(answer, StepFault):
            raise answer
        return answer
