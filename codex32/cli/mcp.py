"""``codex32 mcp``: the Model Context Protocol, in both directions.

Bots as tools for its clients, and the tools of its servers for bots.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.kernel.caller import Caller
    from codex32.kernel.contracts.llm import Tool
    from codex32.kernel.json_values import JSON
    from codex32.kernel.masking import Masker
    from codex32.outside.mcp.pins import Pins
    from codex32.runtime import Runtime
    from codex32.services.mcp.server import McpServer

log = logging.getLogger(__name__)

#: Seconds that a server is given to tell its tools; some are fetched when they are started.
_ASK_SECONDS = 120.0
_SERVER = click.argument("server", metavar="SERVER")


@click.group(cls=Group)
def mcp() -> None:
    """Use tools of MCP servers in bots, and let MCP clients use bots as tools."""


@mcp.command()
@workspace_option
@pass_context
def serve(obj: Context, workspace: str) -> None:
    """Serve a client that started this command and speaks through its pipes.

    Bots with a trigger `mcp` are its tools. Workers carry them out, so `codex32 up` has to run.
    """
    obj.speak_as_service()
    with obj.runtime(ring=True) as runtime:
        from codex32.services.mcp.offering import Offering
        from codex32.services.mcp.server import McpServer

        offering = Offering(runtime.door, runtime.definitions, runtime.payloads)
        caller = obj.caller(workspace)

        async def talk() -> None:
            server = McpServer(runtime.door, offering, runtime.payloads, runtime.clock)
            under_way: set[asyncio.Task[None]] = set()

            async def answer(line: bytes) -> None:
                said = await _answer(server, line, caller)
                if said is not None:
                    await asyncio.to_thread(_write, json.dumps(said))

            while line := await asyncio.to_thread(sys.stdin.buffer.readline):
                task = asyncio.create_task(answer(line))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)

        asyncio.run(talk())


async def _answer(server: McpServer, line: bytes, caller: Caller) -> JSON:
    """What is said to a line; a fault of ours, too, or whoever asked would wait for ever."""
    from codex32.kernel.errors import Codex32Error
    from codex32.kernel.foreign_json import NotJson, parse_foreign
    from codex32.services.mcp.server import INTERNAL_ERROR, PARSE_ERROR, failure

    try:
        message = parse_foreign(line)
    except NotJson as fault:
        return failure(None, PARSE_ERROR, str(fault))
    try:
        return await server.answer(message, caller)
    except Exception as error:
        log.exception("a message of MCP could not be answered")
        told = error.message if isinstance(error, Codex32Error) else "a fault of Codex-32"
        return failure(message["id"], INTERNAL_ERROR, f"{told}; standard error tells more")


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@mcp.command()
@json_option
@pass_context
def servers(obj: Context) -> None:
    """List the servers that the settings name, and how many of their tools are pinned."""
    from codex32.outside.mcp.addresses import shown

    pins = _pins(obj)
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "command": list(server.command) or None,
            "url": server.url and shown(server.url),
            "workspaces": list(server.workspaces),
            "pinned": [tool.name for tool in _pinned(pins, name)],
        }
        for name, server in sorted(obj.settings.mcp.servers.items())
    ]
    obj.output.result(
        {"servers": found},
        lambda: obj.output.table(
            ("name", "reached by", "workspaces", "pinned tools"),
            [
                (each["name"], each["url"] or " ".join(each["command"]),
                 ", ".join(each["workspaces"]), len(each["pinned"]))
                for each in found
            ],
            "there are no MCP servers; name them in codex32.yaml: mcp: {servers: …}",
        ),
    )  # fmt: skip


@mcp.command()
@json_option
@workspace_option
@_SERVER
@pass_context
def tools(obj: Context, server: str, workspace: str) -> None:
    """Ask a server for its tools, and hold them against what is pinned.

    Read what they say before you pin them: models are told all of it.
    """
    with obj.runtime() as runtime:
        offered, left_out, masker = _offered(obj, runtime, server, workspace)
    states = _states(_pinned(_pins(obj), server), offered)
    told = [_told(_masked(tool, masker), states[tool.name]) for tool in offered]
    gone = [name for name, state in states.items() if state == "gone"]

    def show() -> None:
        _show(obj, told)
        for name in gone:
            obj.output.line(f"{name}  (gone)")
        _note(obj, server, left_out)

    data = {"server": server, "tools": told, "gone": gone, "left_out": left_out}
    obj.output.result(data, show)


@mcp.command()
@json_option
@workspace_option
@_SERVER
@click.argument("tools", metavar="[TOOL]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All tools, those that are new too.")
@click.option("--dry-run", is_flag=True, help="Say what would be pinned.")
@pass_context
def pin(
    obj: Context,
    server: str,
    tools: tuple[str, ...],
    workspace: str,
    everything: bool,
    dry_run: bool,
) -> None:
    """Pin tools of a server as they are now: bots may use these, as long as they stay the same.

    The server is asked anew; what it says of them is printed, for what was looked at before may
    have changed since.

    Pinned are the tools that are named; else those that were pinned before; else all. The pins
    stand in codex32.mcp.json, which belongs beside codex32.yaml wherever the bots run.
    """
    from codex32.kernel.text import did_you_mean
    from codex32.services.safe import audit

    pins = _pins(obj)
    before = _pinned(pins, server)
    with obj.runtime() as runtime:
        now_offered, left_out, masker = _offered(obj, runtime, server, workspace)
        offered = {tool.name: tool for tool in now_offered}
        for name in tools:
            if name not in offered:
                hint = did_you_mean(name, offered)
                raise click.UsageError(f"{server} has no tool {name!r}{hint}")
        kept = [tool.name for tool in before if tool.name in offered]
        chosen = tools or (() if everything else kept) or tuple(offered)
        pinned = [offered[name] for name in dict.fromkeys(chosen)]
        if telling := [tool.name for tool in pinned if _masked(tool, masker) != tool]:
            raise click.ClickException(
                f"{server} repeats a secret in what it says of {masker.mask(', '.join(telling))}: "
                f"nothing was pinned. Look at it with: codex32 mcp tools {server}"
            )
        states = _states(before, pinned)
        if not dry_run:
            pins.keep(server, pinned)
            now, caller = runtime.clock.micros(), obj.caller(workspace)
            change = {"tools": dict(states)}
            work = partial(audit.record, caller, "mcp.pinned", server, now, change=change)
            runtime.door.write_now(partial(work, workspace=workspace))
    left = [name for name in offered if name not in chosen]
    told = [_told(tool, states[tool.name]) for tool in pinned]
    data = {
        "server": server, "pinned": states, "tools": told, "left": left,
        "left_out": left_out, "written": not dry_run,
    }  # fmt: skip

    def show() -> None:
        _show(obj, told)
        for name in (name for name, state in states.items() if state == "gone"):
            obj.output.line(f"{name}  (gone)")
        if not offered:
            obj.output.note(f"{server} offers no tools")
        _note(obj, server, left_out)
        if left:
            obj.output.note(f"not pinned, and so not used: {', '.join(left)}")
        would = "would be written to" if dry_run else "written to"
        obj.output.note(f"{would} {pins.path.name}")

    obj.output.result(data, show)


def _masked(tool: Tool, masker: Masker) -> Tool:
    """A tool without the secrets that the server was given."""
    schema: Any = masker.mask_value(tool.schema)
    return replace(
        tool, name=masker.mask(tool.name), description=masker.mask(tool.description), schema=schema
    )


def _told(tool: Tool, state: str) -> dict[str, Any]:
    return {"name": tool.name, "state": state, **asdict(tool)}


def _show(obj: Context, told: Sequence[dict[str, Any]]) -> None:
    """Print all that models are told of tools."""
    for each in told:
        obj.output.line(f"{each['name']}  ({each['state']})")
        for line in each["description"].strip().splitlines():
            obj.output.line(f"    {line}")
        obj.output.line(f"    takes {json.dumps(each['schema'], ensure_ascii=False)}")


def _note(obj: Context, server: str, left_out: Sequence[str]) -> None:
    """Say what a server offers that nobody can use."""
    for each in left_out:
        obj.output.note(f"{server} offers what cannot be used, and is left out: {each}")


def _pins(obj: Context) -> Pins:
    from codex32.outside.mcp.pins import FILE, Pins

    return Pins(obj.settings.folder / FILE)


def _pinned(pins: Pins, server: str) -> Sequence[Tool]:
    """The pinned tools, or none; what cannot be read is pinned anew."""
    from codex32.outside.mcp.pins import McpUnpinned

    try:
        return pins.of(server)
    except McpUnpinned:
        return ()


def _states(pinned: Sequence[Tool], offered: Sequence[Tool]) -> dict[str, str]:
    """How each tool stands to its pin: ``pinned``, ``changed``, ``new`` or ``gone``."""
    from codex32.outside.mcp.pins import differences

    states = {}
    known = {tool.name: tool for tool in pinned}
    for tool in offered:
        was = known.get(tool.name)
        changed = was is not None and differences([was], [tool])
        states[tool.name] = "new" if was is None else "changed" if changed else "pinned"
    return states | {name: "gone" for name in known if name not in states}


def _offered(
    obj: Context, runtime: Runtime, server: str, workspace: str
) -> tuple[Sequence[Tool], list[str], Masker]:
    """The tools of a server as it tells them now, what else it tells of that cannot be used.

    And what masks the secrets that it was given.
    """
    from codex32 import chosen
    from codex32.kernel.contracts.mcp import McpCaller
    from codex32.kernel.errors import SecretNotFound
    from codex32.kernel.masking import Masker
    from codex32.outside.http_on_demand import HttpOnDemand

    masker = Masker()

    async def secret(name: str) -> str:
        value = await runtime.secrets.secret(workspace, name)
        if value is None:
            raise SecretNotFound(name)
        masker.add(value)
        return value

    async def ask() -> tuple[Sequence[Tool], Sequence[str]]:
        client = HttpOnDemand(obj.settings.outside.private_hosts)
        keeper = chosen.mcp_servers(obj.settings, client.for_hosts)
        try:
            caller = McpCaller(workspace, secret, confide=masker.add)
            return await keeper.offered(caller, server, timeout_seconds=_ASK_SECONDS)
        finally:
            await keeper.close()
            await client.close()

    offered, left_out = asyncio.run(ask())
    return offered, [masker.mask(each) for each in left_out], masker
