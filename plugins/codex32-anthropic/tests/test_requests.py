"""What is sent to Anthropic, and what is not; settings with their faults."""

import pytest

import codex32_anthropic
from codex32 import CompletionRequest, ModelFault, ModelMessage
from codex32.kernel.errors import PluginError
from codex32_anthropic.provider import AnthropicProvider
from codex32_anthropic.schemas import kept_schema
from codex32_anthropic.settings import Endpoint
from codex32_testing.loading import load_plugin

ASKED = [ModelMessage("system", "Be brief."), ModelMessage("user", "Say hello there.")]
TEXT = {"type": "string"}


async def ask(server, request, key):
    provider = AnthropicProvider(Endpoint(server.url))
    try:
        return [event async for event in provider.complete(request, timeout_seconds=60, key=key)]
    finally:
        await provider.close()


async def test_the_environment_sends_calls_and_keys_nowhere(model_server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-machine-1234567890")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-the-machine")
    await ask(model_server, CompletionRequest("m", ASKED), model_server.key)
    with pytest.raises(ModelFault, match="no secret ANTHROPIC_API_KEY is known here"):
        await ask(model_server, CompletionRequest("m", ASKED), None)
    (asked,) = model_server.asked
    assert asked.status == 200
    assert "of-the-machine" not in repr(asked)


async def test_systems_limits_stops_and_options_are_sent(model_server):
    request = CompletionRequest(
        "m", ASKED, stop=["END"], temperature=0.2, options={"output_config": {"effort": "low"}}
    )
    await ask(model_server, request, model_server.key)
    body = model_server.asked[0].body
    assert (body["system"], body["max_tokens"], body["stop_sequences"]) == (
        "Be brief.",
        8192,
        ["END"],
    )
    assert body["temperature"] == 0.2
    assert body["output_config"] == {"effort": "low"}


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (CompletionRequest("m", ASKED, json=True), "unsupported"),
        (CompletionRequest("m", ASKED, options={"system": "x"}), "bad_request"),
        (CompletionRequest("m", ASKED, schema={"type": "object"}), "unsupported"),
    ],
    ids=["json", "option", "open-schema"],
)
async def test_what_the_service_cannot_do_is_not_sent(model_server, request_, kind):
    with pytest.raises(ModelFault) as raised:
        await ask(model_server, request_, model_server.key)
    assert raised.value.kind == kind
    assert model_server.asked == ()


def test_a_schema_is_closed_and_its_limits_become_words():
    number = {"type": ["integer", "null"], "minimum": 1}
    kept = kept_schema({"type": "object", "properties": {"a": TEXT, "n": number}})
    assert kept["additionalProperties"] is False
    assert kept["properties"]["a"] == TEXT
    first, second = kept["properties"]["n"]["anyOf"]
    assert (first["type"], "minimum" in first) == ("integer", False)
    assert second["type"] == "null"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"base_ulr": "x"}, "did you mean 'base_url'"),
        ({"base_url": "https://me:key@host"}, "an address holds no key"),
        ({"max_tokens": 0}, "write a number of tokens, not 0"),
        ({"models": {"m": {"capabilities": ["sing"]}}}, "'sing' is none of: images, json"),
    ],
    ids=["name", "key", "limit", "capability"],
)
def test_what_is_wrong_in_the_settings_is_named(config, said):
    assert load_plugin(codex32_anthropic).records[0].offers == {"llm_providers": ("anthropic",)}
    with pytest.raises(PluginError) as raised:
        load_plugin(codex32_anthropic, config)
    assert said in str(raised.value)
