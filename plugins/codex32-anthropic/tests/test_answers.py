"""Answers as they come from gateways that only resemble Anthropic's."""

import json

import pytest

from codex32 import CompletionRequest, Finished, ModelMessage, TextDelta, Tool, ToolCall
from codex32_anthropic.provider import AnthropicProvider
from codex32_anthropic.settings import Endpoint
from codex32_testing.model_server import Turn

TOOL = Tool("f", "Does it.", {"type": "object"})
REQUEST = CompletionRequest("m", [ModelMessage("user", "Hello?")], tools=[TOOL])
HEAD = {
    "type": "message_start",
    "message": {"id": "1", "type": "message", "model": "m", "usage": {"input_tokens": 9}},
}


def begun(index, **block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def more(index, **delta):
    return {"type": "content_block_delta", "index": index, "delta": delta}


def ended(reason):
    usage = {"output_tokens": 5}
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


@pytest.fixture
def heard(model_server):
    """What the provider makes of a stream of events."""

    async def hear(*events):
        lines = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events]
        model_server.script(Turn(body="".join(lines), content_type="text/event-stream"))
        provider = AnthropicProvider(Endpoint(model_server.url))
        try:
            asked = provider.complete(REQUEST, timeout_seconds=60, key=model_server.key)
            return [event async for event in asked]
        finally:
            await provider.close()

    return hear


async def test_arguments_may_come_whole_where_a_call_begins(heard):
    found = await heard(
        HEAD,
        begun(0, type="tool_use", id="a", name="f", input={"n": 1}),
        begun(1, type="tool_use", id="b", name="f", input={}),
        more(1, type="input_json_delta", partial_json='{"n": 2}'),
        begun(2, type="tool_use", id="c", name="f", input={}),
        begun(3, type="tool_use", id="d", name="f", input=[4]),
        ended("tool_use"),
    )
    calls = [each for each in found if isinstance(each, ToolCall)]
    assert [each.arguments for each in calls] == [{"n": 1}, {"n": 2}, {}, {}]
    assert [each.invalid for each in calls] == [None, None, None, "[4]"]


async def test_what_a_model_thinks_is_no_answer_and_events_that_nobody_knows_are_passed_over(
    heard,
):
    found = await heard(
        HEAD,
        begun(0, type="thinking", thinking="", signature=""),
        more(0, type="thinking_delta", thinking="Hm."),
        more(0, type="signature_delta", signature="x"),
        {"type": "ping"},
        begun(1, type="redacted_thinking", data="x"),
        {"type": "of_tomorrow", "index": 1},
        begun(2, type="text", text=""),
        more(2, type="text_delta", text="Yes."),
        ended("end_turn"),
    )
    assert [each.text for each in found if isinstance(each, TextDelta)] == ["Yes."]
    assert found[-1] == Finished("stop", model="m")
