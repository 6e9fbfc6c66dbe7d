"""From a request of the house to the arguments of ``messages.create``."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from codex32 import CompletionRequest, ModelFault, ModelMessage
from codex32_anthropic.schemas import kept_schema
from codex32_anthropic.settings import Endpoint

#: What a request of the house says itself; options are for what it does not know.
_OWN = frozenset({"model", "messages", "system", "stream", "tools", "max_tokens"})
#: Stands where a turn has no text, since the service refuses empty ones.
_NO_TEXT = "(empty)"


def arguments(request: CompletionRequest, endpoint: Endpoint) -> dict[str, Any]:
    """What the SDK is called with.

    Raises:
      ModelFault: ``bad_request``: an option says again what the request says.
        ``unsupported``: the schema is none that the service could keep to.
    """
    if own := _OWN & set(request.options):
        raise ModelFault("bad_request", f"options may not hold {min(own)!r}")
    if request.json:
        raise ModelFault("unsupported", f"{endpoint.name} answers in JSON after a schema alone")
    more = dict(request.options)
    if request.temperature is not None:
        # The SDK knows it no more; whether the model does is the service's to say.
        more["temperature"] = request.temperature
    given: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens or endpoint.max_tokens,
        "messages": _messages(request.messages),
        "stream": True,
    }
    if system := [m.text for m in request.messages if m.role == "system" and m.text]:
        given["system"] = "\n\n".join(system)
    if request.tools:
        given["tools"] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": dict(tool.schema),
            }
            for tool in request.tools
        ]
        given["tool_choice"] = _tool_choice(request.tool_choice)
    if request.schema is not None:
        form = {"type": "json_schema", "schema": kept_schema(request.schema)}
        given["output_config"] = {**dict(more.pop("output_config", {})), "format": form}
    if request.stop:
        given["stop_sequences"] = list(request.stop)
    given["extra_body"] = more or None
    return given


def _messages(messages: Sequence[ModelMessage]) -> list[dict[str, Any]]:
    """Turns that take turns: answers of tools, and what the user adds, are one of the user."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: ModelMessage) -> list[dict[str, Any]]:
    if message.role == "tool":
        result: dict[str, Any] = {
            "type": "tool_result",
            "tool_use_id": message.tool_call_id,
            "content": message.text,
        }
        if message.failed:
            result["is_error"] = True
        return [result]
    blocks: list[dict[str, Any]] = [
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": image.media_type,
                "data": base64.b64encode(image.data).decode(),
            },
        }
        for image in message.images
    ]
    if message.text.strip():
        blocks.append({"type": "text", "text": message.text})
    blocks += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
        for call in message.tool_calls
    ]
    return blocks or [{"type": "text", "text": _NO_TEXT}]


def _tool_choice(choice: str) -> dict[str, Any]:
    if choice in ("auto", "none"):
        return {"type": choice}
    if choice == "required":
        return {"type": "any"}
    return {"type": "tool", "name": choice}
