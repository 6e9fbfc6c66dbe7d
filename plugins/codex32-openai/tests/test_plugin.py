"""The plugin loads, offers what the settings say, and names what is wrong in them."""

import pytest

import codex32_openai
from codex32.kernel.errors import PluginError
from codex32_testing.loading import load_plugin

LOCAL = {
    "base_url": "http://127.0.0.1:11434/v1",
    "free": True,
    "models": {"llama3": {"context_tokens": 8192, "capabilities": ["tools"]}, "mistral": None},
    "embedders": {"nomic-embed-text": 768},
}


def test_openai_is_there_without_a_setting():
    plugins = load_plugin(codex32_openai)
    assert plugins.records[0].offers == {
        "llm_providers": ("openai",),
        "embedders": ("openai:text-embedding-3-large", "openai:text-embedding-3-small"),
    }
    provider = plugins.components.llm_provider("openai")
    assert provider.endpoint == "https://api.openai.com/v1"
    assert provider.secret == "OPENAI_API_KEY"


def test_endpoints_are_providers_of_their_own():
    plugins = load_plugin(codex32_openai, {"endpoints": {"local": LOCAL}})
    provider = plugins.components.llm_provider("local")
    llama, mistral = provider.models()
    assert (provider.secret, provider.price_list, provider.free) == (None, "", True)
    assert (llama.context_tokens, llama.capabilities, llama.free) == (8192, {"tools"}, True)
    assert (mistral.capabilities, mistral.free) == (None, True)
    embedder = plugins.components.embedder("local:nomic-embed-text")
    assert (embedder.dimension, embedder.free) == (768, True)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"base_ulr": "x"}, "base_ulr: there is no such setting (did you mean 'base_url'?)"),
        ({"base_url": "api.openai.com"}, "base_url: 'api.openai.com' is no address"),
        ({"base_url": "https://me:key@host/v1"}, "base_url: an address holds no key"),
        ({"base_url": "https://host/v1?key=x"}, "base_url: an address holds no key"),
        ({"base_url": "http://host:port/v1"}, "is no address"),
        ({"secret": 7}, "secret: write a text, not 7"),
        ({"endpoints": {"local": {}}}, "endpoints.local: write its address"),
        ({"endpoints": {"local": "http://x"}}, "endpoints.local: write base_url"),
        ({"endpoints": {"openai": LOCAL}}, "endpoints.openai: 'openai' cannot name an endpoint"),
        ({"endpoints": {"Big One": LOCAL}}, "'Big One' cannot name an endpoint"),
        (
            {"endpoints": {"local": {**LOCAL, "embedders": {"m": 0}}}},
            "endpoints.local.embedders.m: write how many numbers its vectors have, not 0",
        ),
        (
            {"endpoints": {"local": {**LOCAL, "models": {"m": {"capabilities": ["sing"]}}}}},
            "endpoints.local.models.m.capabilities: 'sing' is none of: images, json",
        ),
        (
            {"endpoints": {"local": {**LOCAL, "models": {"m": {"context": 1}}}}},
            "endpoints.local.models.m.context: there is no such setting",
        ),
        (
            {"endpoints": {"local": {**LOCAL, "models": {"m": {"context_tokens": -1}}}}},
            "endpoints.local.models.m.context_tokens: write a number, not -1",
        ),
        (
            {"endpoints": {"local": {**LOCAL, "models": {"m": 3}}}},
            "models.m: write a table, not 3",
        ),
        (
            {"endpoints": {"local": {**LOCAL, "max_tokens_name": "limit"}}},
            "max_tokens_name: 'limit' is none of: max_tokens, max_completion_tokens",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(config, said):
    with pytest.raises(PluginError) as raised:
        load_plugin(codex32_openai, config)
    assert said in str(raised.value)
