"""Tools of servers that speak the Model Context Protocol, and that an operator has named."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from codex32.kernel.contracts.llm import Tool
from codex32.kernel.json_values import JSON


@dataclass(frozen=True, slots=True)
class McpResult:
    """What a tool answered; a stranger may have written all of it.

    Attributes:
      text: Its texts, one below the other.
      data: What it answered as data; None where it did not.
      content: Everything else: pictures, sounds, links, as the protocol has them.
      failed: Whether the tool says that it failed.
    """

    text: str = ""
    data: JSON = None
    content: Sequence[Mapping[str, JSON]] = ()
    failed: bool = False


class McpServers(ABC):
    """The servers that a step may use."""

    @abstractmethod
    async def tools(self, server: str) -> Sequence[Tool]:
        """The tools of a server as they were pinned; the server is not asked.

        Raises:
          CapabilityRefused: ``allow.mcp`` does not name the server.
          ComponentNotFound: The settings name none for this workspace.
          StepFault: Nobody has pinned its tools (``mcp-unpinned``).
        """

    @abstractmethod
    async def call(
        self,
        server: str,
        tool: str,
        arguments: Mapping[str, JSON],
        *,
        timeout_seconds: float,
    ) -> McpResult:
        """Have a tool do something, once.

        Raises:
          CapabilityRefused, ComponentNotFound: As for :meth:`tools`.
          StepFault: The tool is not pinned (``mcp-unpinned``), or the server's tools are no
            longer what was pinned (``mcp-changed``): nothing was done.
          ProviderUnavailable: Nothing was done (``mcp-unreachable``), or the answer was cut, makes
            no sense or tells of a fault of the server (``mcp-cut``), or is late (``mcp-timeout``):
            it may have been done.
          ProviderRejected: The server does not take what it was asked: nothing was done.
          ProviderUnauthorized: It does not accept the credentials.
          SecretNotFound: No store knows a secret that the settings name for it.
        """


def nobody_writes(secret: str) -> None:
    """Where nothing is written down that a server says."""


@dataclass(frozen=True, slots=True)
class McpCaller:
    """On whose behalf servers are used.

    Attributes:
      workspace: Of the bot; ``*`` for who only looks at pins, and may see those of all.
      servers: Patterns of ``allow.mcp``; None for an operator, who may use all.
      execution: Whose calls may share a conversation with a server; empty where none may.
      secret: The value of a secret that the settings name for a server.
      confide: Told of each secret that is come by on the way, such as an access token, before
        the server may repeat it: it must not be written down.
    """

    workspace: str
    secret: Callable[[str], Awaitable[str]]
    servers: Sequence[str] | None = None
    execution: str = ""
    confide: Callable[[str], None] = nobody_writes


class McpKeeper(ABC):
    """Reaches servers, whoever asks; see :class:`McpServers`."""

    @abstractmethod
    async def tools(self, caller: McpCaller, server: str) -> Sequence[Tool]:
        """As :meth:`McpServers.tools`, for this caller."""

    @abstractmethod
    async def call(
        self,
        caller: McpCaller,
        server: str,
        tool: str,
        arguments: Mapping[str, JSON],
        *,
        timeout_seconds: float,
    ) -> McpResult:
        """As :meth:`McpServers.call`, for this caller."""


@dataclass(frozen=True, slots=True)
class McpServersOf(McpServers):
    """What a keeper does for one caller."""

    keeper: McpKeeper
    caller: McpCaller

    async def tools(self, server: str) -> Sequence[Tool]:
        """The tools of a server as they were pinned."""
        return await self.keeper.tools(self.caller, server)

    async def call(
        self,
        server: str,
        tool: str,
        arguments: Mapping[str, JSON],
        *,
        timeout_seconds: float,
    ) -> McpResult:
        """Have a tool do something, once."""
        return await self.keeper.call(
            self.caller, server, tool, arguments, timeout_seconds=timeout_seconds
        )
