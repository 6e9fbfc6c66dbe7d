"""What services of models do wrong, and providers that speak to them must bear: as tests.

Mix these into the suites of ``llm.py`` and ``embedder.py``; the fixture ``model_server`` is what
the provider under test speaks to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import pytest

from codex32 import (
    CompletionEvent,
    CompletionRequest,
    Embedded,
    Embedder,
    Finished,
    LLMProvider,
    ModelFault,
    ModelMessage,
    TextDelta,
    Tool,
    ToolCall,
    Usage,
)
from codex32_testing.model_server.faults import EMBEDDING_FAULTS, FAULTS, Outcome
from codex32_testing.model_server.turns import Tokens, Turn

if TYPE_CHECKING:
    from codex32_testing.model_server import ModelServer

#: Long enough that a busy machine answers a good request.
_PATIENCE_SECONDS = 30.0
_SHORT_SECONDS = 0.5
#: Beyond a limit; a machine that is busy notices late.
_GRACE_SECONDS = 5.0
_SLOW = ("silence", "trickle")
_LOOK_UP = Tool(
    "look_up",
    "Look up a city",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
_LINE = {
    "type": "object",
    "properties": {"line": {"type": "string"}},
    "required": ["line"],
    "additionalProperties": False,
}
_PNG = b"\x89PNG\r\n\x1a\n"


def _of(faults: Mapping[str, Outcome], fits: Callable[[Outcome], bool]) -> list[str]:
    return sorted(name for name, fault in faults.items() if fits(fault))


class ServedLLMSuite:
    """Mix it into a :class:`LLMProviderSuite` whose provider speaks to ``model_server``.

    Attributes:
      streams: Whether the provider streams; else faults that only streams have are left out.
    """

    model: ClassVar[str]
    streams: ClassVar[bool] = True

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", list(FAULTS))
    async def test_whatever_a_service_does_has_a_name(
        self, provider: LLMProvider, model_server: ModelServer, name: str
    ) -> None:
        """An answer, or a fault of the right kind, in time, and one request for it."""
        fault = FAULTS[name]
        if fault.streams is True and not self.streams:
            fault = Outcome(fault.turn, "")
        await self.ask(provider, model_server)  # whatever is imported first is imported now
        model_server.reset()
        model_server.script(fault)
        limit = _SHORT_SECONDS if name in _SLOW else _PATIENCE_SECONDS
        begun_at = time.monotonic()
        if fault.kind:
            with pytest.raises(ModelFault) as raised:
                await self.ask(provider, model_server, limit=limit)
            assert raised.value.kind == fault.kind
            assert raised.value.retry_after_seconds == fault.retry_after_seconds
            _money(raised.value, model_server)
        else:
            events = await self.ask(provider, model_server, limit=limit)
            assert isinstance(events[-1], Finished)
        assert time.monotonic() - begun_at < limit + _GRACE_SECONDS
        assert len(model_server.asked) == 1

    @pytest.mark.asyncio
    async def test_a_key_that_is_told_back_is_told_to_nobody(
        self, provider: LLMProvider, model_server: ModelServer
    ) -> None:
        """Faults end up in logs, rows and answers of the API."""
        key = "secret-of-somebody-1234567890"
        with pytest.raises(ModelFault) as raised:
            await self.ask(provider, model_server, key=key)
        assert (raised.value.kind, raised.value.billed) == ("auth", "no")
        told = f"{raised.value!r} {raised.value} {raised.value.__cause__!r}"
        assert key not in told

    @pytest.mark.asyncio
    async def test_a_call_without_its_key_is_not_sent(
        self, provider: LLMProvider, model_server: ModelServer
    ) -> None:
        """The fault names the secret that is missing."""
        assert provider.secret is not None
        request = CompletionRequest(self.model, [ModelMessage("user", "Hello.")])
        with pytest.raises(ModelFault, match=provider.secret) as raised:
            async for _ in provider.complete(request, timeout_seconds=30, key=None):
                pass
        assert raised.value.kind == "auth"
        assert model_server.asked == ()

    @pytest.mark.asyncio
    async def test_the_bill_is_told_whole(
        self, provider: LLMProvider, model_server: ModelServer
    ) -> None:
        """Cached tokens belong to the prompt, reasoning to the answer, on every wire."""
        tokens = Tokens(fresh=10, cached=100, written=20, output=30, reasoning=12)
        model_server.script(Turn(text="hi", tokens=tokens))
        events = await self.ask(provider, model_server)
        usage = next(event for event in events if isinstance(event, Usage))
        assert usage == Usage(
            130, 30, cached_input_tokens=100, cache_write_tokens=20, reasoning_tokens=12
        )

    @pytest.mark.asyncio
    async def test_tools_are_asked_for_and_answered(
        self, provider: LLMProvider, model_server: ModelServer
    ) -> None:
        """Arguments come whole; the service takes the conversation that follows."""
        model_server.script(
            Turn(
                text="I look them up.",
                tool_calls=[("look_up", {"city": "Bonn"}), ("look_up", {"city": "Köln"})],
            )
        )
        asked = [ModelMessage("system", "Be brief."), ModelMessage("user", "How is the sky?")]
        events = await self.ask(provider, model_server, messages=asked, tools=[_LOOK_UP])
        calls = [event for event in events if isinstance(event, ToolCall)]
        assert [call.arguments for call in calls] == [{"city": "Bonn"}, {"city": "Köln"}]
        assert isinstance(events[-1], Finished)
        assert events[-1].reason == "tools"
        after = [
            *asked,
            ModelMessage("assistant", "I look them up.", tool_calls=calls),
            ModelMessage("tool", "clear", tool_call_id=calls[0].id),
            ModelMessage("tool", "no answer", tool_call_id=calls[1].id, failed=True),
        ]
        events = await self.ask(provider, model_server, messages=after, tools=[_LOOK_UP])
        assert isinstance(events[-1], Finished)
        assert [asked.status for asked in model_server.asked] == [200, 200]

    @pytest.mark.asyncio
    async def test_a_tool_may_be_demanded(
        self, provider: LLMProvider, model_server: ModelServer
    ) -> None:
        """By name, any of them, or none; on the wire the last request says so."""
        for choice in ("look_up", "required", "none", "auto"):
            await self.ask(provider, model_server, tools=[_LOOK_UP], tool_choice=choice)
        told = [repr(asked.body["tool_choice"]) for asked in model_server.asked]
        assert "look_up" in told[0]
        assert len(set(told)) == 4

    @pytest.mark.asyncio
    async def test_a_schema_is_kept_by_the_service(
        self, provider: LLMProvider, model_server: ModelServer
    ) -> None:
        """The answer is the JSON that the schema wants."""
        events = await self.ask(provider, model_server, schema=_LINE)
        assert text_of(events) == '{"line": "Say hello there."}'

    @pytest.mark.asyncio
    async def test_images_are_sent(self, provider: LLMProvider, model_server: ModelServer) -> None:
        """As the wire wants them, beside the text."""
        from codex32 import Image

        picture = ModelMessage("user", "What is this?", images=[Image("image/png", _PNG)])
        events = await self.ask(provider, model_server, messages=[picture])
        assert text_of(events) == "What is this?"
        assert "iVBORw0KGgo" in repr(model_server.asked[0].body)
        assert "image/png" in repr(model_server.asked[0].body)

    @pytest.mark.asyncio
    async def test_limits_of_tokens_hold(
        self, provider: LLMProvider, model_server: ModelServer
    ) -> None:
        """An answer that was cut says so."""
        events = await self.ask(provider, model_server, max_tokens=2)
        assert text_of(events) == "Say hell"
        assert isinstance(events[-1], Finished)
        assert events[-1].reason == "length"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", ["refused", "filtered"])
    async def test_a_refusal_is_told_with_its_reason(
        self, provider: LLMProvider, model_server: ModelServer, name: str
    ) -> None:
        """By the model or by a filter; it is billed all the same."""
        model_server.script(FAULTS[name])
        *_, usage, end = await self.ask(provider, model_server)
        assert isinstance(usage, Usage)
        assert isinstance(end, Finished)
        assert end.reason == "refused"
        assert end.detail

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", ["no_usage", "usage_strings", "usage_null", "usage_negative"])
    async def test_a_bill_that_cannot_be_read_is_none(
        self, provider: LLMProvider, model_server: ModelServer, name: str
    ) -> None:
        """Nothing is made up: without ``Usage`` the gateway books what was reserved."""
        model_server.script(FAULTS[name])
        events = await self.ask(provider, model_server)
        told = [event for event in events if isinstance(event, Usage)]
        # An SDK may read the texts "12" and "7" as the numbers they are.
        assert told == [] or (name == "usage_strings" and told == [Usage(12, 7)])

    async def ask(
        self,
        provider: LLMProvider,
        server: ModelServer,
        *,
        messages: list[ModelMessage] | None = None,
        limit: float = _PATIENCE_SECONDS,
        key: str | None = None,
        **more: object,
    ) -> list[CompletionEvent]:
        """All events of one call."""
        asked = messages or [ModelMessage("user", "Say hello there.")]
        request = CompletionRequest(self.model, asked, **more)  # type: ignore[arg-type]
        stream = provider.complete(request, timeout_seconds=limit, key=key or server.key)
        return [event async for event in stream]


class ServedEmbedderSuite:
    """Mix it into an :class:`EmbedderSuite` whose embedder speaks to ``model_server``."""

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", _of({**FAULTS, **EMBEDDING_FAULTS}, lambda f: f.embeddings))
    async def test_whatever_a_service_does_has_a_name(
        self, embedder: Embedder, model_server: ModelServer, name: str
    ) -> None:
        """Vectors, each of its own text, or a fault of the right kind, in time."""
        fault = {**FAULTS, **EMBEDDING_FAULTS}[name]
        right = await self.embed(embedder, model_server)
        model_server.reset()
        model_server.script(fault)
        limit = _SHORT_SECONDS if name in _SLOW else _PATIENCE_SECONDS
        begun_at = time.monotonic()
        if fault.kind:
            with pytest.raises(ModelFault) as raised:
                await self.embed(embedder, model_server, limit=limit)
            assert raised.value.kind == fault.kind
            assert raised.value.retry_after_seconds == fault.retry_after_seconds
            _money(raised.value, model_server)
        else:
            answer = await self.embed(embedder, model_server, limit=limit)
            assert [list(vector) for vector in answer.vectors] == [
                pytest.approx(list(vector), abs=1e-5) for vector in right.vectors
            ]
        assert time.monotonic() - begun_at < limit + _GRACE_SECONDS
        assert len(model_server.asked) == 1

    @pytest.mark.asyncio
    async def test_tokens_are_told_and_nonsense_is_not(
        self, embedder: Embedder, model_server: ModelServer
    ) -> None:
        """Without them the gateway books what was reserved."""
        model_server.script(Turn(), FAULTS["usage_strings"], FAULTS["usage_negative"])
        told = [(await self.embed(embedder, model_server)).input_tokens for _ in range(3)]
        assert told == [model_server.asked[0].billed.input, None, None]  # type: ignore[union-attr]

    @pytest.mark.asyncio
    async def test_a_key_that_is_told_back_is_told_to_nobody(
        self, embedder: Embedder, model_server: ModelServer
    ) -> None:
        """Faults end up in logs, rows and answers of the API."""
        key = "secret-of-somebody-1234567890"
        with pytest.raises(ModelFault) as raised:
            await self.embed(embedder, model_server, key=key)
        assert raised.value.kind == "auth"
        assert key not in f"{raised.value!r} {raised.value} {raised.value.__cause__!r}"

    async def embed(
        self,
        embedder: Embedder,
        server: ModelServer,
        *,
        limit: float = _PATIENCE_SECONDS,
        key: str | None = None,
    ) -> Embedded:
        """Vectors of four texts, one of them blank."""
        return await embedder.embed(
            ["the sea", "bread", " ", "law"],
            purpose="document",
            timeout_seconds=limit,
            key=key or server.key,
        )


def text_of(events: list[CompletionEvent]) -> str:
    """The text of an answer."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def _money(fault: ModelFault, server: ModelServer) -> None:
    """Whoever says that nothing is billed must be right."""
    if fault.billed == "no":
        assert server.billed() == 0
