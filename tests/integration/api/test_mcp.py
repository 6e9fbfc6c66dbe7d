"""The official client of the Model Context Protocol uses bots as tools."""

from __future__ import annotations

import asyncio
import contextlib

import httpx2
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from codex32.engine.running.host import Host
from codex32.kernel.caller import Caller
from codex32.kernel.models import ExecutionRow, OccurrenceRow
from codex32.services.mcp.offering import Offering
from codex32.services.mcp.server import McpServer

TOKEN = "a token of the test"

DOUBLE = {
    "description": "Doubles a number.",
    "triggers": [{"mcp": {}}],
    "inputs": {"n": {"type": "integer"}, "why": {"type": "string", "default": "because"}},
    "steps": [{"id": "d", "type": "set", "with": {"values": {"twice": "${{ inputs.n * 2 }}"}}}],
    "output": "${{ steps.d.output }}",
}


async def make(api, name, **document):
    made = await api("POST", "/api/v1/bots", json={"name": name, **DOUBLE, **document})
    assert made.status == 201, made.text


@contextlib.asynccontextmanager
async def working(runtime):
    # On a thread: what it is made of may be imported first by this test, which reads files.
    env = await asyncio.to_thread(runtime.environment)
    host = Host(env, "worker")

    async def work():
        while True:
            for claim in await env.door.write(lambda: host.take(10)):
                await host.begin(claim)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(work())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await env.close()


@contextlib.asynccontextmanager
async def connected(api):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        streamable_http_client(f"{api.url}/api/v1/mcp", http_client=http) as (read, write, *_),
        ClientSession(read, write) as session,
    ):
        yield session


async def test_a_client_finds_the_bots_that_offer_themselves_and_uses_one(api, runtime):
    await make(api, "double")
    await make(api, "hidden", triggers=[])
    async with working(runtime), connected(api) as session:
        hello = await session.initialize()
        assert hello.server_info.name == "codex32"
        tool, waiting = (await session.list_tools()).tools
        assert (tool.name, tool.description) == ("double", "Doubles a number.")
        assert waiting.name == "execution_result"
        assert tool.input_schema["required"] == ["n"]
        done = await session.call_tool("double", {"n": 21})
        assert not done.is_error, done.content
        assert done.structured_content == {"twice": 42}
        unfit = await session.call_tool("double", {"n": "x"})
        assert unfit.is_error
        assert "n" in unfit.content[0].text
        with pytest.raises(MCPError, match="there is no tool 'hidden'"):
            await session.call_tool("hidden", {"n": 1})
    (row,) = await runtime.door.read(lambda: list(ExecutionRow.select()))
    assert row.trigger_kind == "mcp"


async def test_a_bot_with_several_triggers_is_one_tool(api):
    several = [{"mcp": {"description": each}} for each in ("This one.", "Another.")]
    await make(api, "double", triggers=several)
    await make(api, "other")
    async with connected(api) as session:
        await session.initialize()
        *tools, _ = (await session.list_tools()).tools
    assert [(each.name, each.description) for each in tools] == [
        ("double", "This one."),
        ("other", "Doubles a number."),
    ]


async def test_arguments_are_data_and_never_expressions(api, runtime):
    await make(
        api,
        "echo",
        inputs={"text": {"type": "string"}},
        steps=[{"id": "d", "type": "set", "with": {"values": {"said": "${{ inputs.text }}"}}}],
    )
    text = "${{ trigger.caller }} ' ] }} \\u0041"
    async with working(runtime), connected(api) as session:
        await session.initialize()
        done = await session.call_tool("echo", {"text": text})
        assert done.structured_content == {"said": text}


async def test_of_arguments_that_nobody_wants_a_few_are_told(api, runtime):
    # Each was made an expression while nobody else could write: 40,000 took fifteen seconds.
    await make(api, "double")
    params = {"name": "double", "arguments": {"n": 1, **{f"k{n}": n for n in range(2000)}}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    done = await api("POST", "/api/v1/mcp", json=message)
    assert done.json["result"]["isError"]
    told = done.json["result"]["content"][0]["text"]
    assert "k0: unknown input; double takes: n" in told
    assert told.count("unknown input") == 10
    rows = await runtime.door.read(lambda: list(OccurrenceRow.select()))
    assert [row.decision for row in rows] == ["invalid"]


async def test_what_a_tool_needs_and_is_not_given_starts_nothing(api, runtime):
    await make(api, "double")
    async with connected(api) as session:
        await session.initialize()
        refused = await session.call_tool("double", {"why": "who knows"})
        assert refused.is_error
        assert "nothing was started (invalid): there is no key 'n'" in refused.content[0].text
    rows = await runtime.door.read(lambda: list(OccurrenceRow.select()))
    assert [row.decision for row in rows] == ["invalid"]


async def test_what_the_trigger_says_itself_is_not_asked_for(api, runtime):
    await make(api, "double", triggers=[{"mcp": {}, "inputs": {"n": 4}}])
    async with working(runtime), connected(api) as session:
        await session.initialize()
        tool, _ = (await session.list_tools()).tools
        assert list(tool.input_schema["properties"]) == ["why"]
        assert tool.input_schema["required"] == []
        done = await session.call_tool("double", {})
        assert done.structured_content == {"twice": 8}


async def test_a_trigger_that_says_no_starts_nothing_and_leaves_a_row(api, runtime):
    await make(api, "picky", triggers=[{"mcp": {}, "if": "trigger.body.n > 5"}])
    async with working(runtime), connected(api) as session:
        await session.initialize()
        refused = await session.call_tool("picky", {"n": 1})
        assert refused.is_error
        assert "no-match" in refused.content[0].text
    rows = await runtime.door.read(lambda: list(OccurrenceRow.select()))
    assert [row.decision for row in rows] == ["no-match"]


async def test_a_bot_that_fails_is_an_error_that_names_its_execution(api, runtime):
    ends = {"id": "d", "type": "end", "with": {"status": "failed", "message": "no luck"}}
    await make(api, "luckless", inputs={}, steps=[ends], output=None)
    async with working(runtime), connected(api) as session:
        await session.initialize()
        done = await session.call_tool("luckless", {})
        assert done.is_error
        assert "failed: no luck" in done.content[0].text


async def test_what_takes_long_is_waited_for_by_another_tool_and_by_nobody_else(
    api, runtime, monkeypatch
):
    monkeypatch.setattr("codex32.services.mcp.server.WAIT_SECONDS", 0.0)
    await make(api, "double")
    async with connected(api) as session:
        await session.initialize()
        begun = await session.call_tool("double", {"n": 21})
        assert not begun.is_error
        (execution,) = await runtime.door.read(lambda: list(ExecutionRow.select()))
        assert execution.id in begun.content[0].text
        waiting = await session.call_tool("execution_result", {"id": execution.id})
        assert "goes on" in waiting.content[0].text

        monkeypatch.setattr("codex32.services.mcp.server.WAIT_SECONDS", 20.0)
        async with working(runtime):
            done = await session.call_tool("execution_result", {"id": execution.id})
            assert done.structured_content == {"twice": 42}
            # One of the workspace that was begun otherwise: to start bots is not to read all.
            other = await api("POST", "/api/v1/bots/double/execute", json={"inputs": {"n": 1}})
        for foreign in (other.json["id"], "exe_none", "\0", 7):
            with pytest.raises(MCPError, match="you began"):
                await session.call_tool("execution_result", {"id": foreign})


async def test_a_key_is_not_told_what_others_began(api, runtime):
    await make(api, "double")
    server = McpServer(
        runtime.door,
        Offering(runtime.door, runtime.definitions, runtime.payloads),
        runtime.payloads,
        runtime.clock,
    )
    ada, bob = (Caller("key", f"key_{n}", n, workspace="default") for n in ("ada", "bob"))
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    async with working(runtime):
        begun = {"name": "double", "arguments": {"n": 1}}
        await server.answer({**call, "params": begun}, ada)
    (execution,) = await runtime.door.read(lambda: list(ExecutionRow.select()))
    asked = {"name": "execution_result", "arguments": {"id": execution.id}}
    told = [await server.answer({**call, "params": asked}, each) for each in (ada, bob)]
    assert told[0]["result"]["structuredContent"] == {"twice": 2}
    assert told[1]["error"]["code"] == -32602


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"[]", -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "nothing"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []}', -32602),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', -32600),
        # No database is asked for what cannot be a name: PostgreSQL takes no such text.
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "\\u0000"}}',
            -32602,
        ),
        (
            b'{"jsonrpc": "2.0", "id": 1,"method": "tools/list", "params": {"cursor": "\\u0000"}}',
            -32602,
        ),
    ],
    ids=["list", "unknown", "params", "id", "name", "cursor"],
)
async def test_what_is_no_message_is_told_so(api, sent, code):
    headers = {"Content-Type": "application/json"}
    answer = await api("POST", "/api/v1/mcp", data=sent, headers=headers)
    assert (answer.status, answer.json["error"]["code"]) == (200, code)


async def test_a_notification_is_taken_and_a_stranger_is_not(api):
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await api("POST", "/api/v1/mcp", json=note)).status == 202
    assert (await api("POST", "/api/v1/mcp", json=note, token=None)).status == 401


@pytest.mark.parametrize(
    "sent", [b"{", b"[" * 100_000, b'{"id": 1, "id": 2}'], ids=["torn", "deep", "twice"]
)
async def test_what_is_no_json_is_refused(api, sent):
    headers = {"Content-Type": "application/json"}
    answer = await api("POST", "/api/v1/mcp", data=sent, headers=headers)
    assert (answer.status, answer.json["code"]) == (400, "body-malformed")


async def test_a_message_is_sent_as_json(api):
    headers = {"Content-Type": "text/plain"}
    answer = await api("POST", "/api/v1/mcp", data=b"{}", headers=headers)
    assert (answer.status, answer.json["code"]) == (415, "media-type-unsupported")


@pytest.mark.parametrize(("revision", "status"), [("2025-06-18", 202), ("1999-01-01", 400)])
async def test_a_revision_that_nobody_speaks_is_refused(api, revision, status):
    sent = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    headers = {"MCP-Protocol-Version": revision}
    answer = await api("POST", "/api/v1/mcp", json=sent, headers=headers)
    assert answer.status == status
