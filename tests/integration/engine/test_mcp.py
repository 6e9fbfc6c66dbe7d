"""Tools of MCP servers in steps and of agents, with servers that really run."""

import asyncio
import json
import sys
from dataclasses import replace

import codex32_rough_mcp
import pytest

from codex32 import Completion, Tool, ToolCall
from codex32.engine.records import claims
from codex32.engine.running.attempt import Attempt
from codex32.kernel.contracts.gateway import ModelGateway
from codex32.outside.mcp.keeper import McpHouse, Server
from codex32.outside.mcp.pins import FILE, Pins

STEP = """
allow: {mcp: [rough]}
inputs: {text: {type: string, default: hi}}
steps:
  - id: ask
    type: mcp
    with: {server: rough, tool: echo, arguments: {text: "${{ inputs.text }}"}}
output: "${{ steps.ask.output }}"
"""
AGENT = """
allow: {models: ["any:model"], mcp: [rough], tools: ["r_*", draw]}
steps:
  - id: agent
    type: agent
    with:
      model: "any:model"
      prompt: Go on.
      tools:
        - {name: r, type: mcp, with: {server: rough, only: [echo, fail], writes: false}}
        - {type: mcp, with: {server: rough, only: [draw]}}
output: "${{ steps.agent.output }}"
"""


class Model(ModelGateway):
    """Answers from a list: a text, or the name of a tool to call."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def complete(self, caller, request, *, fallback=(), on_text=None):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if " " in answer:
            return Completion(answer, model=request.model)
        calls = [ToolCall("c", answer, {"text": "hi"} if "echo" in answer else {})]
        return Completion("", tool_calls=calls, model=request.model, reason="tools")

    async def embed(self, *_, **__):
        raise AssertionError


@pytest.fixture(autouse=True)
def _pinned(tmp_path):
    tools = codex32_rough_mcp.TOOLS
    pinned = [Tool(t["name"], t["description"], t["inputSchema"]) for t in tools]
    Pins(tmp_path / FILE).keep("rough", pinned)


@pytest.fixture
async def serve(engine, tmp_path):
    """Lets the engine reach a server of the given mood."""
    made = []

    def serve(mood="well", **more):
        command = (sys.executable, "-S", codex32_rough_mcp.__file__, str(tmp_path), mood)
        keeper = McpHouse({"rough": Server(command, **more)}, lambda hosts: None, tmp_path, 2)
        engine.env = replace(engine.env, mcp=keeper)
        made.append(keeper)

    yield serve
    for keeper in made:
        await keeper.close()


def calls(folder):
    path = folder / "calls"
    return [json.loads(line)["name"] for line in path.read_text().split("\n") if line]


def error_of(engine, seen, step=0):
    row = seen.steps[step]
    return engine.env.payloads.unpack(seen.execution.id, row.error)


# steps


async def test_a_step_calls_a_tool(engine, serve):
    serve()
    seen = await engine.run(STEP, text="é")
    assert seen.execution.status == "succeeded", seen.execution.message
    assert seen.steps[0].effect == "once"
    output = await engine.output(seen.execution.id)
    assert output == {"text": "", "data": {"echo": "é"}, "content": []}


async def test_bytes_are_left_out_unless_they_are_wanted(engine, serve):
    serve()
    text = STEP.replace("tool: echo", "tool: draw").replace("with: {", "with: {writes: false, ")
    seen = await engine.run(f"name: told{text}")
    assert seen.steps[0].effect == "none"
    content = (await engine.output(seen.execution.id))["content"]
    assert content == [{"type": "image", "mimeType": "image/png", "bytes": 6}]
    whole = text.replace("with: {", "with: {binary: true, ")
    seen = await engine.run(f"name: kept{whole}")
    content = (await engine.output(seen.execution.id))["content"]
    assert content == [{"type": "image", "mimeType": "image/png", "data": "aGVsbG8="}]


async def test_a_bot_that_does_not_name_the_server_is_refused(engine, serve, tmp_path):
    serve()
    seen = await engine.run(STEP.replace("mcp: [rough]", "mcp: [other]"))
    assert (seen.execution.status, seen.execution.cause) == ("failed", "capability")
    assert not (tmp_path / "pids").exists()


async def test_a_tool_that_fails_fails_the_step_with_what_it_says(engine, serve):
    serve()
    seen = await engine.run(STEP.replace("tool: echo", "tool: fail"))
    fault = error_of(engine, seen)
    assert fault["code"] == "mcp-tool-failed"
    assert fault["message"] == "fail of the MCP server rough failed: no luck"


async def test_a_call_whose_answer_is_cut_is_in_doubt_and_a_person_decides(
    engine, serve, tmp_path
):
    serve("dies")
    seen = await engine.run(STEP + "retry: {attempts: 3, first: 1ms}\n")
    assert (seen.execution.status, seen.steps[0].status) == ("waiting", "unknown")
    assert calls(tmp_path) == ["echo"]


async def test_a_call_that_only_reads_is_made_again(engine, serve, tmp_path, manual_clock):
    serve("dies")
    text = STEP.replace("with: {", "retry: {attempts: 2, first: 1s}\n    with: {writes: false, ")
    execution = await engine.start(await engine.add(text))
    await engine.work()
    manual_clock.advance(60)
    await engine.door.write(lambda: claims.wake(manual_clock.micros()))
    await engine.work()
    seen = await engine.inspect(execution)
    assert (seen.execution.status, error_of(engine, seen)["code"]) == ("failed", "mcp-cut")
    assert calls(tmp_path) == ["echo", "echo"]


async def test_a_call_that_is_cancelled_stays_in_doubt(engine, serve, tmp_path):
    serve("hangs")
    execution = await engine.start(await engine.add(STEP))
    (claim,) = await engine.claim()
    attempt = Attempt(engine.env, claim)
    task = asyncio.create_task(attempt.run())
    async with asyncio.timeout(60):
        while not (tmp_path / "calls").exists():
            await asyncio.sleep(0.02)
    attempt.cancel()
    await task
    seen = await engine.inspect(execution)
    assert (seen.execution.status, seen.steps[0].status) == ("cancelled", "unknown")


async def test_a_changed_server_fails_the_step_and_tells_what_to_do(engine, serve, tmp_path):
    serve("reworded")
    seen = await engine.run(STEP)
    fault = error_of(engine, seen)
    assert (seen.steps[0].status, fault["code"]) == ("failed", "mcp-changed")
    assert "echo is described in other words" in fault["message"]
    assert not (tmp_path / "calls").exists()


async def test_a_secret_of_a_server_is_masked_where_the_server_tells_it(engine, serve):
    serve(environment={"AUTH": "Bearer ${{ secrets.TOKEN }}"})
    engine.secrets["TOKEN"] = "sesame-open-7"
    seen = await engine.run(STEP.replace("tool: echo", "tool: environment"))
    assert seen.execution.status == "succeeded", seen.execution.message
    assert "AUTH" in str(await engine.output(seen.execution.id))
    assert "sesame" not in await engine.everything_written()


# agents


async def test_an_agent_is_offered_the_tools_that_are_pinned_and_named(engine, serve):
    serve()
    engine.env = replace(engine.env, models=(model := Model("r_echo", "Well done.")))
    seen = await engine.run(AGENT)
    assert seen.execution.status == "succeeded", seen.execution.message
    told = {tool.name: tool for tool in model.asked[0].tools}
    assert list(told) == ["r_echo", "r_fail", "draw"]
    assert told["r_echo"].description == "Says what it is told."
    assert told["r_echo"].schema["properties"] == {"text": {"type": "string"}}
    assert '"echo":"hi"' in model.asked[1].messages[-1].text.replace(" ", "")


async def test_what_a_server_answers_is_text_of_strangers_and_writing_waits_for_a_person(
    engine, serve, tmp_path
):
    serve()
    engine.env = replace(engine.env, models=Model("r_echo", "r_fail", "draw", "Not reached."))
    seen = await engine.run(AGENT)
    # What its author says only reads was used freely, whatever was read before.
    assert calls(tmp_path) == ["echo", "fail"]
    assert seen.execution.status == "waiting"


async def test_a_writing_tool_needs_nobody_before_anything_was_read(engine, serve, tmp_path):
    serve()
    engine.env = replace(engine.env, models=Model("draw", "Well done."))
    seen = await engine.run(AGENT)
    assert (seen.execution.status, calls(tmp_path)) == ("succeeded", ["draw"])


async def test_a_model_is_told_of_a_server_that_changed(engine, serve, tmp_path):
    serve("widened")
    engine.env = replace(engine.env, models=(model := Model("r_echo", "Too bad.")))
    seen = await engine.run(AGENT)
    assert seen.execution.status == "succeeded", seen.execution.message
    assert "have changed since they were pinned" in model.asked[1].messages[-1].text
    assert not (tmp_path / "calls").exists()
