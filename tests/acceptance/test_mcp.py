"""A client of the Model Context Protocol starts ``codex32 mcp serve`` and uses bots through it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from codex32_houses import CODEX32, House
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

DOUBLE = """\
description: Doubles a number.
triggers: [{mcp: {}}]
inputs: {n: {type: integer}}
type: set
with: {values: {twice: "${{ inputs.n * 2 }}", text: "é"}}
"""
LUCKLESS = """\
description: Has no luck.
triggers: [{mcp: {}}]
type: end
with: {status: failed, message: no luck}
"""


def served(house: House) -> StdioServerParameters:
    """How a client starts the server."""
    command, *args = CODEX32
    return StdioServerParameters(
        command=command, args=[*args, "mcp", "serve"], env=house.environment, cwd=house.folder
    )


@contextlib.asynccontextmanager
async def connected(house: House, errors: Path) -> AsyncIterator[ClientSession]:
    with errors.open("w") as said:
        async with (
            stdio_client(served(house), errlog=said) as (read, write),
            ClientSession(read, write) as session,
        ):
            hello = await session.initialize()
            assert hello.server_info.name == "codex32"
            yield session


async def test_a_client_that_starts_the_server_finds_bots_and_uses_them(
    house: House, tmp_path: Path
) -> None:
    await asyncio.to_thread(house.add, "double", DOUBLE)
    await asyncio.to_thread(house.add, "luckless", LUCKLESS)
    async with connected(house, tmp_path / "errors.txt") as session:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert tools["double"].description == "Doubles a number."
        assert tools["double"].input_schema["required"] == ["n"]

        done = await session.call_tool("double", {"n": 21})
        assert not done.is_error, done.content
        assert done.structured_content == {"twice": 42, "text": "é"}
        unfit = await session.call_tool("double", {"n": "x"})
        assert unfit.is_error
        unlucky = await session.call_tool("luckless", {})
        assert unlucky.is_error
        assert "failed: no luck" in str(unlucky.content)
        with pytest.raises(MCPError, match="there is no tool 'trouble'"):
            await session.call_tool("trouble", {})


@pytest.fixture
def alone(tmp_path: Path) -> House:
    """A folder with a database, and nobody at work."""
    house = House(tmp_path / "house")
    done = house.cli("db", "upgrade")
    assert done.returncode == 0, done.stderr
    return house


def test_what_cannot_be_answered_is_told_and_the_next_message_is_answered(alone: House) -> None:
    lines = (
        b"\xff no text",
        b"[",
        b'{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}',
        b'{"jsonrpc": "2.0", "id": "two", "method": "ping"}',
    )
    # As another release would leave it: a table is not as this one knows it.
    database = alone.folder / ".codex32" / "codex32.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute('ALTER TABLE "trigger" RENAME COLUMN definition TO rule')
    done = subprocess.run(
        [*CODEX32, "mcp", "serve"],
        cwd=alone.folder,
        env=alone.environment,
        input=b"\n".join(lines) + b"\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    codes = {each["id"]: each["error"]["code"] for each in answers if "error" in each}
    assert codes == {None: -32700, 1: -32603}
    assert len(answers) == 4
    assert {"jsonrpc": "2.0", "id": "two", "result": {}} in answers
