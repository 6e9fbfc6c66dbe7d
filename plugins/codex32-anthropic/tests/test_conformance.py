"""The provider keeps its contract, with the real SDK."""

import pytest_asyncio

from codex32_anthropic.provider import AnthropicProvider
from codex32_anthropic.settings import Endpoint
from codex32_testing.conformance import LLMProviderSuite, ServedLLMSuite
from codex32_testing.model_server.server import KEY


class TestAnthropic(ServedLLMSuite, LLMProviderSuite):
    model = "claude-haiku-5-5"
    key = KEY

    @pytest_asyncio.fixture
    async def provider(self, model_server):
        provider = AnthropicProvider(Endpoint(model_server.url))
        yield provider
        await provider.close()
