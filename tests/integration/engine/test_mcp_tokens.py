"""Access tokens of MCP servers: come by on the way, and written down nowhere."""

from dataclasses import replace

import pytest

from codex32 import Tool
from codex32.kernel.contracts.mcp import McpCaller
from codex32.kernel.masking import handed_out
from codex32.outside.http_on_demand import HttpOnDemand
from codex32.outside.mcp.grants import Grant
from codex32.outside.mcp.keeper import McpHouse, Server
from codex32.outside.mcp.pins import FILE, Pins
from codex32_testing.servers.base import Answer, Asked, ServiceServer

ECHO = Tool("echo", "Says what it is told.", {"type": "object", "properties": {}})
STEP = """
allow: {mcp: [web]}
steps:
  - {id: ask, type: mcp, with: {server: web, tool: echo}}
output: "${{ steps.ask.output.text }}"
"""
SECRET = "sesame-open-7"
TOKEN = "opaque/tell+nobody"


class Repeating(ServiceServer):
    """An authorization server and a server of tools in one; it repeats what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/token":
            token = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
            return Answer(json=token)
        message = asked.json()
        results = {
            "initialize": {"protocolVersion": "2025-06-18", "capabilities": {}},
            "tools/list": {
                "tools": [{"name": ECHO.name, "description": ECHO.description,
                           "inputSchema": ECHO.schema}],
            },
            "tools/call": {
                "content": [{"type": "text", "text": f"seen {asked.headers['authorization'][7:]} "
                             f"{asked.headers['x-key']}"}],
                "isError": self.failing,
            },
        }  # fmt: skip
        if message["method"] not in results:
            return Answer(202)
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}
        return Answer(json=answer)


@pytest.fixture
def _pinned(tmp_path):
    Pins(tmp_path / FILE).keep("web", [ECHO])


@pytest.fixture
async def web(engine, tmp_path, _pinned):
    """A server that is reached with an access token and a key."""
    engine.secrets |= {"CLIENT": "client-secret-9", "KEY": SECRET}
    async with Repeating() as server:
        client = HttpOnDemand([server.url().removeprefix("http://")])
        grant = Grant(server.url("/token"), "house", "${{ secrets.CLIENT }}")
        headers = {"X-Key": "${{ secrets.KEY }}"}
        there = Server(url=server.url("/mcp"), headers=headers, grant=grant)
        keeper = McpHouse({"web": there}, client.for_hosts, tmp_path, 1)
        engine.env = replace(engine.env, mcp=keeper)
        yield server
        await keeper.close()
        await client.close()


def lookup(told):
    async def secret(name):
        told.append(name)
        return SECRET

    return secret


@pytest.mark.parametrize("failing", [False, True])
async def test_a_token_that_a_server_repeats_is_masked_like_a_secret(engine, web, failing):
    web.failing = failing
    seen = await engine.run(STEP)
    written = await engine.everything_written()
    assert "seen *** ***" in written
    assert not any(each in written for each in ("tell+nobody", "tell%2Bnobody", SECRET))
    assert seen.execution.status == ("failed" if failing else "succeeded")
    # The same goes for what the process says in its logs.
    assert handed_out.mask(f"it was {TOKEN}") == "it was ***"


async def test_who_goes_on_with_a_conversation_knows_its_secrets_too(engine, web):
    """A try that goes on after a wait is another one, with nothing but the conversation left."""
    told = []
    keeper = engine.env.mcp
    for _ in range(2):
        heard = []
        caller = McpCaller("default", lookup(told), ("web",), "exe_1", heard.append)
        await keeper.call(caller, "web", "echo", {}, timeout_seconds=60)
        assert set(heard) == {TOKEN}
    assert told == ["CLIENT", "KEY"] * 2
    asked = [each.json()["method"] for each in web.asked if each.path == "/mcp"]
    assert asked.count("initialize") == 1
