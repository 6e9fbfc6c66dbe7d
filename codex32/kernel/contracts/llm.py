"""Language models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from codex32.kernel.json_values import JSON

#: What a model can do: ``schema`` answers after a JSON Schema by itself, ``json`` answers in JSON
#: of whatever shape, ``tool_choice`` can be made to call a tool, ``temperature`` takes one.
CAPABILITIES = frozenset({"tools", "tool_choice", "schema", "json", "images", "temperature"})


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of a provider.

    Attributes:
      context_tokens: Most tokens of prompt and answer together; None where not known.
      capabilities: Of :data:`CAPABILITIES`; None where nobody knows, so that it is tried.
      output_tokens: Most tokens of an answer; None where not known.
      retires_on: The day (ISO 8601) from which it is no longer served; None where not announced.
      free: Whether nobody bills for it, such as a model of one's own machine.
    """

    name: str
    context_tokens: int | None = None
    capabilities: frozenset[str] | None = None
    output_tokens: int | None = None
    retires_on: str | None = None
    free: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: ``data`` as it lies in a file, ``media_type`` such as ``image/png``."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One turn.

    Attributes:
      images: Beside the text, in a turn of the user.
      tool_calls: What an assistant's turn asked for.
      tool_call_id: In a turn of role ``tool``: the call that it answers.
      failed: In a turn of role ``tool``: whether the tool failed, and ``text`` says how.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str = ""
    images: Sequence[Image] = ()
    tool_calls: Sequence[ToolCall] = ()
    tool_call_id: str | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """What the model may ask for; ``schema`` is the JSON Schema of its arguments, an object."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One call of a model.

    Attributes:
      model: ``provider:model`` where bots ask, without the prefix where a provider is asked.
      messages: In order; the last is the user's or a tool's, never the assistant's.
      tool_choice: ``auto``, ``none``, ``required``, or the name of the tool that must be called.
      schema: JSON Schema of the answer. Where a provider is asked, it is to be kept by the
        service itself; where that cannot, the gateway asks in another way, without ``schema``.
      json: The service is to answer with a JSON object of whatever shape.
      max_tokens: Of the answer, reasoning included; None leaves it to the service, or, where
        that asks for a number, to the provider.
      stop: Texts at which the answer ends.
      options: Passed to the service as they are, such as ``reasoning_effort``.
    """

    model: str
    messages: Sequence[ModelMessage]
    tools: Sequence[Tool] = ()
    tool_choice: str = "auto"
    schema: Mapping[str, Any] | None = None
    json: bool = False
    temperature: float | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    options: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool, with whole arguments.

    ``invalid`` is what the model wrote where that was no JSON object; ``arguments`` is then
    empty.
    """

    id: str
    name: str
    arguments: Mapping[str, JSON]
    invalid: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that will be paid for; part of the stream exactly once, before its end.

    All numbers are whole and not negative. A service that tells none, or nonsense, has no
    ``Usage`` in its stream: what was reserved for the call then counts as spent.

    Attributes:
      input_tokens: All of the prompt, those below included.
      output_tokens: All of the answer, reasoning included.
      cached_input_tokens: Those of the prompt that were read from the service's cache.
      cache_write_tokens: Those of the prompt that were written to it.
      reasoning_tokens: Those of the answer that nobody sees.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The stream's last event.

    Attributes:
      reason: ``length`` where the answer was cut at a limit, ``refused`` where the model or a
        filter of the service would not answer.
      detail: Why it was refused, in the service's words.
      model: What answered, as the service names it.
      request_id: What the service calls this call.
    """

    reason: Literal["stop", "length", "tools", "refused"] = "stop"
    detail: str = ""
    model: str = ""
    request_id: str = ""


CompletionEvent: TypeAlias = TextDelta | ToolCall | Usage | Finished


@dataclass(frozen=True, slots=True)
class Completion:
    """The whole answer of a call that a step made.

    Attributes:
      text: What the model said.
      value: What it said as JSON, checked against the request's schema; None without one.
      tool_calls: What it asks for; the step answers with messages of role ``tool``.
      model: ``provider:model`` that answered.
      reason: Why it ended: ``stop`` or ``tools``; a step gets no answer that was cut or refused.
      usage: Of the attempts at this call together.
      cost_nano_usd: What they cost together, in billionths of a US dollar.
      replayed: Whether it was bought before, by this same step, and is given again.
    """

    text: str
    value: JSON = None
    tool_calls: Sequence[ToolCall] = ()
    model: str = ""
    reason: Literal["stop", "tools"] = "stop"
    usage: Usage = Usage(0, 0)
    cost_nano_usd: int = 0
    replayed: bool = False


class LLMProvider(ABC):
    """Offers language models; a model is named ``provider:model``.

    Attributes:
      secret: Name of the secret that holds the key; the gateway looks it up in the workspace
        that asks. None where no key is needed.
      endpoint: Where calls go, such as ``https://api.openai.com/v1``, as the settings say.
      price_list: The provider in lists of prices whose prices hold, where ``name`` is not it;
        an empty text where none hold.
      free: Whether nobody bills for any of its models, those included that it does not know.
    """

    name: str
    secret: str | None = None
    endpoint: str = ""
    price_list: str | None = None
    free: bool = False

    @abstractmethod
    def models(self) -> Sequence[ModelInfo]:
        """The models known without asking the service; others may exist."""

    @abstractmethod
    def complete(
        self, request: CompletionRequest, *, timeout_seconds: float, key: str | None
    ) -> AsyncIterator[CompletionEvent]:
        """Ask a model; always a stream.

        Called by the gateway, which retries, falls back, limits and books: the provider does
        none of it, and no SDK below it does. The stream may be left, and the call cancelled, at
        any time.

        Args:
          request: What to ask; ``request.model`` is without the provider's prefix.
          timeout_seconds: Limit of the whole answer, not of one read; the gateway holds it, too.
          key: The value of ``secret``; None where no store knows it. The provider may then take
            what its service's own environment variable says.

        Returns:
          Deltas in order, tool calls whole, ``Usage`` once, ``Finished`` last.

        Raises:
          ModelFault: Whatever went wrong, by its kind. ``str(fault)`` holds no key.
        """

    async def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of connections of the running event loop; another call makes new ones."""
