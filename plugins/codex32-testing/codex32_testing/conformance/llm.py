"""The contract of LLM providers as tests."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from codex32 import (
    CAPABILITIES,
    CompletionEvent,
    CompletionRequest,
    Finished,
    LLMProvider,
    ModelInfo,
    ModelMessage,
    TextDelta,
    ToolCall,
    Usage,
)
from codex32_testing.conformance.shared import faults


class LLMProviderSuite:
    """Subclass it, give the fixture ``provider``, and name a model that answers with text.

    Attributes:
      model: The model's name, without the provider's prefix.
      key: What the gateway would hand over as the value of ``provider.secret``.
    """

    model: ClassVar[str]
    key: ClassVar[str | None] = None

    @pytest.fixture
    def provider(self) -> LLMProvider:
        """The provider to try."""
        pytest.fail(f"{type(self).__name__} needs a fixture called provider")

    def test_the_house_takes_it(self, provider: LLMProvider) -> None:
        """It would not be refused when plugins are loaded."""
        assert faults("llm_providers", provider) == []

    def test_the_models_are_known_without_asking_the_service(self, provider: LLMProvider) -> None:
        """Names are without the prefix, and none comes twice."""
        models = provider.models()
        assert all(isinstance(model, ModelInfo) for model in models)
        assert all(
            model.capabilities is None or model.capabilities <= CAPABILITIES for model in models
        )
        names = [model.name for model in models]
        assert len(names) == len(set(names))

    @pytest.mark.asyncio
    async def test_an_answer_is_a_stream_with_usage_once_and_an_end(
        self, provider: LLMProvider
    ) -> None:
        """Text before the end, ``Usage`` once, ``Finished`` last."""
        events = await self._ask(provider, "Say hello.")
        kinds = [type(event) for event in events]
        assert set(kinds) <= {TextDelta, ToolCall, Usage, Finished}
        assert kinds[-1] is Finished
        assert kinds.count(Finished) == 1
        assert kinds.count(Usage) == 1
        assert "".join(event.text for event in events if isinstance(event, TextDelta))

    @pytest.mark.asyncio
    async def test_usage_counts_tokens(self, provider: LLMProvider) -> None:
        """What will be paid for is never negative, and a prompt costs something."""
        usage = next(e for e in await self._ask(provider, "Hello?") if isinstance(e, Usage))
        assert usage.input_tokens > 0
        assert usage.output_tokens >= 0
        assert 0 <= usage.cached_input_tokens <= usage.input_tokens

    @pytest.mark.asyncio
    async def test_calls_do_not_disturb_each_other(self, provider: LLMProvider) -> None:
        """The gateway asks concurrently."""
        answers = await asyncio.gather(*(self._ask(provider, f"Say {n}.") for n in range(5)))
        assert [type(events[-1]) for events in answers] == [Finished] * 5

    @pytest.mark.asyncio
    async def test_a_stream_may_be_left_early(self, provider: LLMProvider) -> None:
        """A cancelled step closes the stream; the next call works."""
        stream = provider.complete(self._request("Say hello."), timeout_seconds=30, key=self.key)
        async for _ in stream:
            break
        if close := getattr(stream, "aclose", None):
            await close()
        assert isinstance((await self._ask(provider, "Again."))[-1], Finished)

    def _request(self, text: str) -> CompletionRequest:
        return CompletionRequest(self.model, [ModelMessage("user", text)])

    async def _ask(self, provider: LLMProvider, text: str) -> list[CompletionEvent]:
        stream = provider.complete(self._request(text), timeout_seconds=30, key=self.key)
        return [event async for event in stream]
