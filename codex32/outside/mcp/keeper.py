"""MCP servers that the settings name: reached, held to their pins, asked.

The calls of one execution share a conversation, and no others do: what one bot left in a server is
never seen by another.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.llm import Tool
from codex32.kernel.contracts.mcp import McpCaller, McpKeeper, McpResult
from codex32.kernel.errors import (
    CapabilityRefused,
    ComponentNotFound,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)
from codex32.kernel.json_values import JSON
from codex32.kernel.text import did_you_mean
from codex32.outside.mcp.addresses import place
from codex32.outside.mcp.conversation import Conversation, Refused
from codex32.outside.mcp.grants import Grant, Tokens
from codex32.outside.mcp.kept import Kept
from codex32.outside.mcp.line import Broken, Forgotten, Line
from codex32.outside.mcp.pins import FILE, McpUnpinned, Pins, require_same
from codex32.outside.mcp.pipes import PipeLine, bare_environment
from codex32.outside.mcp.posts import PostLine
from codex32.outside.mcp.schemas import plain

log = logging.getLogger(__name__)

#: Errors by which a server says that it has not even begun; any other may come after the deed.
_NOT_BEGUN = (-32700, -32600, -32601, -32602)
_SECRET = re.compile(r"\$\{\{\s*secrets\.([A-Za-z0-9_]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Server:
    """A server as an operator names it: by a command, or by a URL.

    Attributes:
      environment: Of the command, beside the bare one; texts with ``${{ secrets.NAME }}``.
      headers: Of requests to the URL; likewise, and so is the URL.
      grant: How to come by access tokens for the URL; None where headers suffice.
      workspaces: Whose bots may use it; ``*`` stands for all.
    """

    command: Sequence[str] = ()
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    grant: Grant | None = None
    workspaces: Sequence[str] = ("default",)


class McpHouse(McpKeeper):
    """Reaches the servers; belongs to one event loop.

    Args:
      servers: By name.
      http: A client that speaks to these hosts alone.
      folder: The project's: where commands are started, and where the pins are.
      processes: Commands that run at a time.
    """

    def __init__(
        self,
        servers: Mapping[str, Server],
        http: Callable[[Sequence[str]], HttpClient],
        folder: Path,
        processes: int,
    ) -> None:
        self._servers, self._http, self._folder = servers, http, folder
        self.pins = Pins(folder / FILE)
        self._room = asyncio.Semaphore(processes)
        #: Calls that wait for room: while there are any, no server is kept for what may come.
        self._waiting = 0
        self._tokens = Tokens(http)
        self._kept = Kept(self._let_go)
        self._leaving: set[asyncio.Task[None]] = set()

    async def tools(self, caller: McpCaller, server: str) -> Sequence[Tool]:
        """The tools that are pinned, as models take them."""
        self._server(caller, server)
        pinned = await asyncio.to_thread(self.pins.of, server)
        return [Tool(tool.name, tool.description, plain(tool.schema)) for tool in pinned]

    async def call(
        self,
        caller: McpCaller,
        server: str,
        tool: str,
        arguments: Mapping[str, JSON],
        *,
        timeout_seconds: float,
    ) -> McpResult:
        """Have a tool do something, once the server was found to be as it was."""
        where = self._server(caller, server)
        pinned = await asyncio.to_thread(self.pins.of, server)
        names = [each.name for each in pinned]
        if tool not in names:
            raise McpUnpinned(
                f"the MCP server {server} has no pinned tool {tool!r}{did_you_mean(tool, names)}; "
                f"pinned are: {', '.join(names)}"
            )
        asked = _Asked(server)

        async def once() -> McpResult:
            asked.tool = ""
            async with self._talk(server, where, caller) as talk:
                require_same(server, pinned, talk.offered, talk.left_out)
                asked.tool = tool
                return await talk.call(tool, arguments)

        async with asked.within(timeout_seconds):
            try:
                return await once()
            except Forgotten:
                return await once()

    async def offered(
        self, caller: McpCaller, server: str, *, timeout_seconds: float
    ) -> tuple[Sequence[Tool], Sequence[str]]:
        """The tools of a server as it tells them now; and what of them cannot be used, in words.

        Raises:
          ComponentNotFound, ProviderError, SecretNotFound: As for :meth:`call`.
        """
        where = self._server(caller, server)
        async with (
            _Asked(server).within(timeout_seconds),
            self._talk(server, where, caller) as talk,
        ):
            return talk.offered, talk.left_out

    async def close(self) -> None:
        """End all conversations, and wait for the servers to end."""
        self._kept.close()
        await asyncio.gather(*self._leaving)

    def _server(self, caller: McpCaller, name: str) -> Server:
        if caller.servers is not None and not any(fnmatchcase(name, p) for p in caller.servers):
            raise CapabilityRefused("mcp", name)
        known = {
            each: server
            for each, server in self._servers.items()
            if caller.workspace in ("*", *server.workspaces) or "*" in server.workspaces
        }
        if name not in known:
            raise ComponentNotFound("MCP server", name, known)
        return known[name]

    @asynccontextmanager
    async def _talk(
        self, name: str, server: Server, caller: McpCaller
    ) -> AsyncIterator[Conversation]:
        """A conversation in which the server has just told what it offers.

        After a fault, and where it is cancelled, it is cut at once.
        """
        # Asked for even where a conversation goes on: what this caller writes down must not hold
        # the secrets that another try of its execution had begun it with.
        server = await _entrusted(server, caller)
        talk = await self._going_on(name, caller) or await self._begun(name, server, caller)
        well = False
        try:
            yield talk
            well = True
        finally:
            if well and talk.whose is not None and not self._wanted(talk):
                self._kept.keep(talk)
            else:
                self._let_go(talk, well=well)

    def _wanted(self, talk: Conversation) -> bool:
        """Whether others wait for the room it takes."""
        return self._waiting > 0 and isinstance(talk.line, PipeLine)

    async def _going_on(self, name: str, caller: McpCaller) -> Conversation | None:
        """The one before of this execution, if its server still listens."""
        talk = self._kept.take(_whose(name, caller))
        if talk is not None:
            talk.line.confide = caller.confide
            try:
                await talk.look()
            except BaseException as error:
                self._let_go(talk, well=False)
                if not isinstance(error, Exception):
                    raise
                return None
        return talk

    async def _begun(self, name: str, server: Server, caller: McpCaller) -> Conversation:
        line = await self._line(server)
        line.confide = caller.confide
        talk = Conversation(line, _whose(name, caller))
        try:
            await talk.open()
            await talk.look()
        except BaseException:
            self._let_go(talk, well=False)
            raise
        return talk

    async def _line(self, server: Server) -> Line:
        url, grant = server.url, server.grant
        if not url:
            return await self._started(server)
        client = self._http([place(url)])
        if grant is None:
            return PostLine(client, url, server.headers)

        async def token(anew: bool) -> str:
            return await self._tokens.of(grant, url.partition("?")[0], anew=anew)

        return PostLine(client, url, server.headers, token)

    async def _started(self, server: Server) -> PipeLine:
        if self._room.locked():
            self._kept.let_go(PipeLine)
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        try:
            environment = {**bare_environment(), **server.environment}
            return await PipeLine.start(server.command, environment, self._folder)
        except BaseException:
            self._room.release()
            raise

    def _let_go(self, talk: Conversation, *, well: bool = True) -> None:
        # What was asked for is there; nobody has to wait for the server's leave.
        task = asyncio.create_task(self._leave(talk.line, well))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _leave(self, line: Line, well: bool) -> None:
        try:
            await line.close(well=well)
        except Exception:
            log.exception("the conversation with an MCP server could not be ended")
        finally:
            if isinstance(line, PipeLine):
                self._room.release()


def _whose(server: str, caller: McpCaller) -> tuple[str, str] | None:
    return (server, caller.execution) if caller.execution else None


@dataclass(slots=True)
class _Asked:
    """What a server is being asked, for the words of what goes wrong."""

    server: str
    #: The tool, from the moment at which it may be at work.
    tool: str = ""

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Tell every fault as what it means to whoever asked."""
        name = f"the MCP server {self.server}"
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            code = "mcp-timeout" if self.tool else "mcp-unreachable"
            what = f"did not answer {self.tool} within" if self.tool else "was not ready within"
            raise ProviderUnavailable(f"{name} {what} {seconds:g} s", code=code) from None
        except Broken as fault:
            code = "mcp-cut" if self.tool and fault.sent else "mcp-unreachable"
            raise ProviderUnavailable(f"{name} {fault.told}", code=code) from None
        except Refused as fault:
            told = f"{fault.told} ({fault.code})"
            if self.tool and fault.code not in _NOT_BEGUN:
                raise ProviderUnavailable(
                    f"{name} failed at {self.tool}: {told}", code="mcp-cut"
                ) from None
            what = f"refuses {self.tool}" if self.tool else "refuses to speak"
            raise ProviderRejected(f"{name} {what}: {told}") from None
        except ProviderUnauthorized as fault:
            told = f"{name} does not accept the credentials of its settings: {fault.message}"
            raise ProviderUnauthorized(told) from None


async def _entrusted(server: Server, caller: McpCaller) -> Server:
    """A server with the values of the secrets that its texts name."""
    grant = server.grant and Grant(**await _filled(asdict(server.grant), caller))
    return replace(
        server,
        url=(await _filled({"": server.url}, caller))[""],
        environment=await _filled(server.environment, caller),
        headers=await _filled(server.headers, caller),
        grant=grant,
    )


async def _filled(texts: Mapping[str, str], caller: McpCaller) -> dict[str, str]:
    """The texts with the values of secrets."""
    named = {name for text in texts.values() for name in _SECRET.findall(text)}
    values = {name: await caller.secret(name) for name in sorted(named)}
    return {key: _SECRET.sub(lambda found: values[found[1]], text) for key, text in texts.items()}
