"""One answer of a provider, read from its stream to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from codex32.kernel.contracts.llm import (
    CompletionEvent,
    Finished,
    TextDelta,
    ToolCall,
    Usage,
)
from codex32.kernel.model_errors import ModelFault

#: Characters that an answer may have; what goes on is cut off.
MOST_CHARACTERS = 4_000_000
#: A count this many times, and this many tokens, beyond what was reserved cannot be: a service may
#: put words of its own before those that were sent, and think beyond the room that it was given.
FAR, BEYOND = 4, 16_384
#: A connection that does not close is left.
_CLOSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said.

    Attributes:
      usage: None where it did not say, or said nonsense.
    """

    text: str
    tool_calls: Sequence[ToolCall] = ()
    reason: str = "stop"
    detail: str = ""
    model: str = ""
    request_id: str = ""
    usage: Usage | None = None


class Reader:
    """Reads one stream.

    Args:
      on_text: Given each piece of the text as it comes.
      most: The tokens that were reserved; a service that counts many times those counts wrong.

    Attributes:
      begun: Whether a piece was handed to ``on_text``.
      usage: What the service counted, as far as it said so.
    """

    def __init__(self, on_text: Callable[[str], None] | None, most: Usage) -> None:
        self._on_text, self._most = on_text, most
        self.begun = False
        self.usage: Usage | None = None
        self._parts: list[str] = []
        self._length = 0
        self._calls: list[ToolCall] = []
        self._end: Finished | None = None

    async def read(self, stream: AsyncIterator[CompletionEvent], seconds: float) -> Answer:
        """The whole answer, within ``seconds`` however slowly it drips.

        Raises:
          ModelFault: It is none, or came too late.
        """
        try:
            async with asyncio.timeout(seconds):
                async for event in stream:
                    self._take(event)
                    if self._end is not None:
                        break
        finally:
            if close := getattr(stream, "aclose", None):
                with suppress(Exception):
                    async with asyncio.timeout(_CLOSE_SECONDS):
                        await close()
        if self._end is None:
            raise ModelFault("malformed", "the answer had no end", billed="maybe")
        end = self._end
        if self.usage is not None and not _plausible(
            self.usage, said=bool(self._length or self._calls)
        ):
            self.usage = None
        return Answer(
            "".join(self._parts),
            tuple(self._calls),
            end.reason,
            end.detail,
            end.model,
            end.request_id,
            self.usage,
        )

    def _take(self, event: CompletionEvent) -> None:
        match event:
            case TextDelta():
                self._length += len(event.text)
                if self._length > MOST_CHARACTERS:
                    raise ModelFault("malformed", "the answer did not end", billed="maybe")
                self._parts.append(event.text)
                if self._on_text is not None and event.text:
                    self.begun = True
                    self._on_text(event.text)
            case ToolCall():
                self._calls.append(event)
            case Usage():
                self.usage = event if _sane(event) and self._can_be(event) else None
            case Finished():
                self._end = event

    def _can_be(self, usage: Usage) -> bool:
        """Whether it may have taken so many: some models go beyond what was asked, but not by far.

        Else a service whose count is wrong, or a lie, ends the budgets of all bots at once.
        """
        return (
            usage.input_tokens <= self._most.input_tokens * FAR + BEYOND
            and usage.output_tokens <= self._most.output_tokens * FAR + BEYOND
        )


def _plausible(usage: Usage, *, said: bool) -> bool:
    """Whether a service counted at all: something was asked, and what it said has tokens."""
    return usage.input_tokens > 0 and (usage.output_tokens > 0 or not said)


def _sane(usage: Usage) -> bool:
    numbers = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )
    if not all(type(number) is int and 0 <= number < 1 << 40 for number in numbers):
        return False
    parts = usage.cached_input_tokens + usage.cache_write_tokens
    return parts <= usage.input_tokens and usage.reasoning_tokens <= usage.output_tokens
