"""What is sent: as the service wants it, to where the settings say, and nothing else."""

import pytest

from codex32 import CompletionRequest, ModelFault, ModelMessage, Tool
from codex32_openai.catalogue import MODELS
from codex32_openai.provider import OpenAIProvider
from codex32_openai.schemas import strict_schema
from codex32_openai.settings import Endpoint

ASKED = [ModelMessage("user", "Say hello there.")]
TEXT = {"type": "string"}


async def ask(endpoint, request, key):
    provider = OpenAIProvider(endpoint)
    try:
        return [event async for event in provider.complete(request, timeout_seconds=60, key=key)]
    finally:
        await provider.close()


async def test_the_environment_sends_calls_and_keys_nowhere(model_server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-machine-1234567890")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-machine")
    endpoint = Endpoint("local", model_server.openai_url, "LOCAL_KEY")
    await ask(endpoint, CompletionRequest("m", ASKED), model_server.key)
    with pytest.raises(ModelFault, match="no secret LOCAL_KEY is known here"):
        await ask(endpoint, CompletionRequest("m", ASKED), None)
    (asked,) = model_server.asked
    assert "of-the-machine" not in repr(asked)


async def test_an_endpoint_without_a_secret_gets_no_key_of_anybody(model_server):
    endpoint = Endpoint("local", model_server.openai_url, None)
    with pytest.raises(ModelFault) as raised:
        await ask(endpoint, CompletionRequest("m", ASKED), model_server.key)
    assert raised.value.kind == "auth"


async def test_a_redirect_is_not_followed(loopback_server):
    from codex32_testing.loopback import Reply

    elsewhere = {"Location": loopback_server.url("/elsewhere")}
    loopback_server.reply("/v1/chat/completions", Reply(status=307, headers=elsewhere))
    endpoint = Endpoint("local", loopback_server.url("/v1"), None)
    with pytest.raises(ModelFault, match=r"answered 307: it sends elsewhere; is base_url right\?"):
        await ask(endpoint, CompletionRequest("m", ASKED), None)
    assert [request.path for request in loopback_server.requests] == ["/v1/chat/completions"]


async def test_nobody_at_the_address_is_told_as_not_reached():
    endpoint = Endpoint("local", "http://127.0.0.1:9/v1", None)
    with pytest.raises(ModelFault, match="cannot be reached") as raised:
        await ask(endpoint, CompletionRequest("m", ASKED), None)
    assert (raised.value.kind, raised.value.billed) == ("network", "no")


async def test_limits_temperature_stops_and_options_are_sent(model_server):
    request = CompletionRequest(
        "m",
        ASKED,
        temperature=0.2,
        max_tokens=100,
        stop=["END"],
        options={"reasoning_effort": "low", "seed": 7},
    )
    for name in ("max_tokens", "max_completion_tokens"):
        endpoint = Endpoint("local", model_server.openai_url, "K", max_tokens_name=name)
        await ask(endpoint, request, model_server.key)
    first, second = (asked.body for asked in model_server.asked)
    assert first["max_tokens"] == second["max_completion_tokens"] == 100
    assert (first["temperature"], first["stop"]) == (0.2, ["END"])
    assert (first["reasoning_effort"], first["seed"]) == ("low", 7)
    assert first["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("option", ["model", "messages", "n", "stream"])
async def test_options_do_not_say_again_what_the_request_says(model_server, option):
    endpoint = Endpoint("local", model_server.openai_url, "K")
    request = CompletionRequest("m", ASKED, options={option: 1})
    with pytest.raises(ModelFault, match=f"options may not hold '{option}'") as raised:
        await ask(endpoint, request, model_server.key)
    assert raised.value.kind == "bad_request"
    assert model_server.asked == ()


async def test_a_server_that_cannot_count_streams_is_not_asked_to(model_server):
    endpoint = Endpoint("local", model_server.openai_url, "K", stream_usage=False)
    await ask(endpoint, CompletionRequest("m", ASKED), model_server.key)
    assert "stream_options" not in model_server.asked[0].body


async def test_an_answer_in_json_without_a_schema_is_asked_for(model_server):
    endpoint = Endpoint("local", model_server.openai_url, "K")
    asked = [ModelMessage("user", "Say hello as JSON.")]
    await ask(endpoint, CompletionRequest("m", asked, json=True), model_server.key)
    assert model_server.asked[0].body["response_format"] == {"type": "json_object"}


async def test_a_schema_with_what_may_be_missing_is_a_wish_and_not_strict(model_server):
    endpoint = Endpoint("local", model_server.openai_url, "K")
    schema = {"type": "object", "properties": {"line": TEXT}}
    await ask(endpoint, CompletionRequest("m", ASKED, schema=schema), model_server.key)
    sent = model_server.asked[0].body["response_format"]["json_schema"]
    assert (sent["strict"], sent["schema"]) == (False, schema)


async def test_a_schema_that_is_no_object_is_left_to_the_gateway(model_server):
    endpoint = Endpoint("local", model_server.openai_url, "K")
    request = CompletionRequest("m", ASKED, schema={"type": "array", "items": TEXT})
    with pytest.raises(ModelFault) as raised:
        await ask(endpoint, request, model_server.key)
    assert raised.value.kind == "unsupported"
    assert model_server.asked == ()


async def test_a_tool_call_that_was_none_is_sent_back_as_it_was(model_server):
    from codex32 import ToolCall

    call = ToolCall("call_1", "look_up", {}, invalid='{"city": "Bo')
    messages = [
        *ASKED,
        ModelMessage("assistant", tool_calls=[call]),
        ModelMessage("tool", "these are no arguments", tool_call_id="call_1", failed=True),
    ]
    tool = Tool("look_up", "Look up", {"type": "object", "properties": {}})
    endpoint = Endpoint("local", model_server.openai_url, "K")
    await ask(endpoint, CompletionRequest("m", messages, tools=[tool]), model_server.key)
    _, said, answered = model_server.asked[0].body["messages"]
    assert said["tool_calls"][0]["function"]["arguments"] == '{"city": "Bo'
    assert answered["content"] == "The tool failed: these are no arguments"


def closed(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {"a": TEXT}, "required": ["a"]}, closed(a=TEXT)),
        (closed(a={"type": ["string", "null"]}), closed(a={"type": ["string", "null"]})),
        (
            closed(a={"type": "array", "items": {**closed(b=TEXT), "additionalProperties": True}}),
            closed(a={"type": "array", "items": closed(b=TEXT)}),
        ),
        (closed(a={"anyOf": [TEXT, closed(b=TEXT)]}), closed(a={"anyOf": [TEXT, closed(b=TEXT)]})),
        (closed(a={"type": "object"}), None),
        (closed(a={"type": "object", "additionalProperties": TEXT}), None),
        (closed(a={"type": "string", "minLength": 1}), None),
        (closed(a={}), None),
        ({"type": "object", "properties": {"a": TEXT}}, None),
        ({"type": "object"}, None),
    ],
)
def test_what_can_be_kept_strictly_is_closed(schema, strict):
    assert strict_schema(schema) == strict


def test_the_catalogue_holds_models_that_the_sdk_names():
    from typing import get_args

    from openai.types.shared.chat_model import ChatModel

    known = {name for part in get_args(ChatModel) for name in (get_args(part) or (part,))}
    assert {model.name for model in MODELS} <= known
