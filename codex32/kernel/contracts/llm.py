"""Language models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from codex32.kernel.json_values import JSON


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of a provider.

    Attributes:
      context_tokens: Most tokens of prompt and answer together; None where not known.
      capabilities: Of ``tools schema images stream``.
    """

    name: str
    context_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One turn. ``tool_call_id`` marks the answer to a tool call."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str = ""
    images: Sequence[bytes] = ()
    tool_calls: Sequence[ToolCall] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """What the model may ask for; ``schema`` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One call of a model; ``schema`` asks for an answer of that JSON Schema."""

    model: str
    messages: Sequence[ModelMessage]
    tools: Sequence[Tool] = ()
    schema: Mapping[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    options: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool, with whole arguments."""

    id: str
    name: str
    arguments: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that will be paid for; part of the stream exactly once, before its end."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The stream's last event."""

    reason: Literal["stop", "length", "tools", "refused"] = "stop"


CompletionEvent: TypeAlias = TextDelta | ToolCall | Usage | Finished


class LLMProvider(ABC):
    """Offers language models; a model is named ``provider:model``."""

    name: str

    @abstractmethod
    def models(self) -> Sequence[ModelInfo]:
        """The models known without asking the service; others may exist."""

    @abstractmethod
    def complete(
        self, request: CompletionRequest, *, timeout_seconds: float
    ) -> AsyncIterator[CompletionEvent]:
        """Ask a model; always a stream.

        Called by the gateway, which retries and falls back: the provider does neither.

        Args:
          request: What to ask; ``request.model`` is without the provider's prefix.
          timeout_seconds: Limit of the whole answer, not of one read.

        Returns:
          Deltas in order, ``Usage`` once, ``Finished`` last.

        Raises:
          ProviderUnavailable: Worth trying again.
          ProviderRateLimited: Worth trying again, after ``retry_after_seconds``.
          ProviderRejected: Never worth trying again.
          ProviderUnauthorized: The key is wrong.
        """
