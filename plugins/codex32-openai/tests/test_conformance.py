"""The providers and embedders of this plugin keep their contracts, with the real SDK."""

import pytest_asyncio

from codex32_openai.embedder import OpenAIEmbedder
from codex32_openai.provider import OpenAIProvider
from codex32_openai.settings import EmbedderInfo, Endpoint
from codex32_testing.conformance import (
    EmbedderSuite,
    LLMProviderSuite,
    ServedEmbedderSuite,
    ServedLLMSuite,
)
from codex32_testing.model_server.server import KEY


def endpoint(model_server, **more):
    return Endpoint(more.pop("name", "local"), model_server.openai_url, "LOCAL_KEY", **more)


class TestStreaming(ServedLLMSuite, LLMProviderSuite):
    model = "llama3"
    key = KEY

    @pytest_asyncio.fixture
    async def provider(self, model_server):
        provider = OpenAIProvider(endpoint(model_server))
        yield provider
        await provider.close()


class TestWhole(ServedLLMSuite, LLMProviderSuite):
    model = "llama3"
    key = KEY
    streams = False

    @pytest_asyncio.fixture
    async def provider(self, model_server):
        provider = OpenAIProvider(endpoint(model_server, stream=False))
        yield provider
        await provider.close()


class TestOpenAI(LLMProviderSuite):
    model = "gpt-5-mini"
    key = KEY

    @pytest_asyncio.fixture
    async def provider(self, model_server):
        named = endpoint(model_server, name="openai", max_tokens_name="max_completion_tokens")
        provider = OpenAIProvider(named)
        yield provider
        await provider.close()


class TestEmbedder(ServedEmbedderSuite, EmbedderSuite):
    key = KEY

    @pytest_asyncio.fixture
    async def embedder(self, model_server):
        embedder = OpenAIEmbedder(
            endpoint(model_server), "text-embedding-3-small", EmbedderInfo(1536, 8191)
        )
        yield embedder
        await embedder.close()
