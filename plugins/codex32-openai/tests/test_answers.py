"""Answers as they come from servers that only resemble OpenAI's."""

import json

import pytest

from codex32 import Finished, ModelFault, ModelMessage, TextDelta, ToolCall, Usage
from codex32.kernel.contracts.llm import CompletionRequest
from codex32_openai.answers import Answer, read_usage
from codex32_openai.provider import OpenAIProvider
from codex32_openai.settings import Endpoint
from codex32_testing.model_server import Turn

REQUEST = CompletionRequest("m", [ModelMessage("user", "Hello?")])


def choice(name="message", finish="stop", **said):
    return {"model": "m", "choices": [{"index": 0, name: said, "finish_reason": finish}]}


def whole(told):
    return list(Answer("local").whole(told))


def test_a_call_of_a_tool_ends_with_tools_whatever_the_server_calls_it():
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}
    assert whole(choice(tool_calls=[call])) == [
        ToolCall("1", "f", {"a": 1}),
        Finished("tools", model="m"),
    ]


def test_arguments_may_come_as_an_object_and_calls_without_numbers():
    answer = Answer("local")
    for number in (1, 2):
        call = {"id": str(number), "function": {"name": "f", "arguments": {"n": number}}}
        assert list(answer.chunk(choice("delta", finish=None, tool_calls=[call]))) == []
    assert list(answer.chunk(choice("delta", finish="eos"))) == []
    assert [event.arguments for event in answer.end() if isinstance(event, ToolCall)] == [
        {"n": 1},
        {"n": 2},
    ]


def test_a_word_for_the_end_that_nobody_knows_is_an_end():
    assert whole(choice(content="hi", finish="eos"))[-1] == Finished("stop", model="m")


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "text",
        {},
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": ["x"]},
        {"choices": [{"message": {"content": "hi"}}]},
        choice(content="hi", finish=None),
        choice(tool_calls=[None]),
        choice(tool_calls=[{"function": None}]),
    ],
    ids=repr,
)
def test_what_is_no_answer_is_malformed(told):
    with pytest.raises(ModelFault) as raised:
        whole(told)
    assert raised.value.kind == "malformed"


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"prompt_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": "1"},
        {
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 2},
        },
        {
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
        {
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": "1"},
        },
    ],
    ids=repr,
)
def test_a_bill_that_cannot_be_true_is_none(told):
    assert read_usage(told) is None


def test_a_bill_without_details_is_one():
    told = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": None}
    assert read_usage(told) == Usage(3, 2)


async def test_a_server_that_cannot_stream_is_understood_all_the_same(model_server):
    body = json.dumps(
        {**choice(content="hi"), "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    )
    model_server.script(Turn(body=body))
    provider = OpenAIProvider(Endpoint("local", model_server.openai_url, "K"))
    stream = provider.complete(REQUEST, timeout_seconds=60, key=model_server.key)
    events = [event async for event in stream]
    await provider.close()
    assert events == [
        TextDelta("hi"),
        Usage(1, 1),
        Finished("stop", model="m"),
    ]


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, {"message": "the request exceeds the available context size"}, "context_too_long"),
        (400, {"message": "grammar is not supported"}, "unsupported"),
        (422, {"message": "response_format: Extra inputs are not permitted"}, "unsupported"),
        (400, {"message": "hm", "code": "content_filter"}, "refused"),
        (500, {"message": "hm", "type": "insufficient_quota"}, "quota"),
        (429, {"message": "slow", "code": "model_not_found"}, "rate_limited"),
        (418, {"message": "I am a teapot"}, "bad_request"),
        (400, "a text", "bad_request"),
    ],
    ids=repr,
)
async def test_refusals_of_other_servers_are_told_by_what_they_say(
    model_server, status, said, kind
):
    model_server.script(Turn(body=json.dumps({"error": said}), status=status))
    provider = OpenAIProvider(Endpoint("local", model_server.openai_url, "K"))
    with pytest.raises(ModelFault) as raised:
        async for _ in provider.complete(REQUEST, timeout_seconds=60, key=model_server.key):
            pass
    await provider.close()
    assert (raised.value.kind, raised.value.status) == (kind, status)
