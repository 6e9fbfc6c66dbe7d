"""What is asked, as it can be sent: a stranger's text may hold half a character."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from codex32.kernel.contracts.llm import CompletionRequest, ModelMessage, Tool


def sendable(request: CompletionRequest) -> CompletionRequest:
    """The request, its texts as :func:`whole` has them."""
    return replace(
        request,
        messages=[_message(each) for each in request.messages],
        tools=[_tool(each) for each in request.tools],
    )


def whole(text: str) -> str:
    """A text that has a UTF-8: halves of characters, as of an emoji that was cut, are replaced."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _message(message: ModelMessage) -> ModelMessage:
    calls = [
        replace(call, arguments=_whole(call.arguments), invalid=_whole(call.invalid))
        for call in message.tool_calls
    ]
    return replace(message, text=whole(message.text), tool_calls=calls)


def _tool(tool: Tool) -> Tool:
    return replace(tool, description=whole(tool.description), schema=_whole(tool.schema))


def _whole(value: Any) -> Any:
    match value:
        case str():
            return whole(value)
        case Mapping():
            return {whole(name): _whole(each) for name, each in value.items()}
        case list():
            return [_whole(each) for each in value]
        case _:
            return value
