"""A language model that answers what it was told to."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

from codex32 import (
    CAPABILITIES,
    JSON,
    CompletionEvent,
    CompletionRequest,
    Finished,
    LLMProvider,
    ModelInfo,
    ProviderError,
    TextDelta,
    ToolCall,
    Usage,
)

#: A text, a value that becomes JSON text, a tool to be called, or a fault to be raised.
Reply: TypeAlias = str | dict[str, Any] | list[Any] | ToolCall | ProviderError
#: Characters in a token, roughly, so that usage grows with the text.
_TOKEN_CHARACTERS = 4
_WORD = re.compile(r"\S+\s*|\s+")


class EchoProvider(LLMProvider):
    """Answers with the replies laid down in :meth:`script`, then with the last user's text.

    Attributes:
      requests: What it was asked, in order.
    """

    name = "echo"

    def __init__(self) -> None:
        self.requests: list[CompletionRequest] = []
        self._replies: deque[Reply] = deque()

    def script(self, *replies: Reply) -> None:
        """Lay down the replies of the next completions, one each."""
        self._replies.extend(replies)

    def models(self) -> Sequence[ModelInfo]:
        """One model; any other name is answered alike."""
        return [ModelInfo("echo", 100_000, CAPABILITIES, free=True)]

    async def complete(
        self, request: CompletionRequest, *, timeout_seconds: float, key: str | None
    ) -> AsyncIterator[CompletionEvent]:
        """Stream the next reply word by word."""
        self.requests.append(request)
        reply: Reply = self._replies.popleft() if self._replies else _last_words(request)
        if isinstance(reply, ProviderError):
            raise reply
        asked = sum(len(message.text) for message in request.messages)
        if isinstance(reply, ToolCall):
            yield reply
            yield Usage(_tokens(asked), _tokens(len(json.dumps(dict(reply.arguments)))))
            yield Finished("tools")
            return
        text = reply if isinstance(reply, str) else json.dumps(reply)
        for word in _WORD.findall(text):
            yield TextDelta(word)
        yield Usage(_tokens(asked), _tokens(len(text)))
        yield Finished()


def _last_words(request: CompletionRequest) -> str:
    texts = (m.text for m in reversed(request.messages) if m.role == "user")
    text = next(texts, "")
    return text if request.schema is None else json.dumps(_example(request.schema, text))


def _example(schema: Any, text: str) -> JSON:
    """The smallest value of a plain schema, with ``text`` wherever a text may stand."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type", "object"):
        case "object":
            required = schema.get("required", [])
            properties = schema.get("properties", {})
            return {name: _example(properties.get(name, {}), text) for name in required}
        case "array":
            return [_example(schema.get("items", {}), text)] * schema.get("minItems", 0)
        case "string":
            return text
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
    return None


def _tokens(characters: int) -> int:
    return -(-characters // _TOKEN_CHARACTERS)
