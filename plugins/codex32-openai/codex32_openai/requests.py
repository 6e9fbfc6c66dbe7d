"""From a request of the house to the arguments of ``chat.completions.create``."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from codex32 import CompletionRequest, ModelFault, ModelMessage
from codex32_openai.schemas import strict_schema
from codex32_openai.settings import Endpoint

#: What a request of the house says itself; options are for what it does not know.
_OWN = frozenset({"model", "messages", "stream", "stream_options", "tools", "n"})


def arguments(request: CompletionRequest, endpoint: Endpoint) -> dict[str, Any]:
    """What the SDK is called with.

    Raises:
      ModelFault: ``bad_request``: an option says again what the request says.
        ``unsupported``: the schema is none that the service could keep to.
    """
    if own := _OWN & set(request.options):
        raise ModelFault("bad_request", f"options may not hold {min(own)!r}")
    given: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(message) for message in request.messages],
        "extra_body": dict(request.options) or None,
        "stream": endpoint.stream,
    }
    if endpoint.stream and endpoint.stream_usage:
        given["stream_options"] = {"include_usage": True}
    if request.tools:
        given["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.schema),
                },
            }
            for tool in request.tools
        ]
        given["tool_choice"] = _tool_choice(request.tool_choice)
    if request.schema is not None:
        given["response_format"] = _schema_format(request.schema)
    elif request.json:
        given["response_format"] = {"type": "json_object"}
    if request.temperature is not None:
        given["temperature"] = request.temperature
    if request.max_tokens is not None:
        given[endpoint.max_tokens_name] = request.max_tokens
    if request.stop:
        given["stop"] = list(request.stop)
    return given


def _message(message: ModelMessage) -> dict[str, Any]:
    if message.role == "tool":
        text = f"The tool failed: {message.text}" if message.failed else message.text
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": text}
    if message.role == "assistant" and message.tool_calls:
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": call.invalid or json.dumps(dict(call.arguments)),
                },
            }
            for call in message.tool_calls
        ]
        return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
    if not message.images:
        return {"role": message.role, "content": message.text}
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text else []
    for image in message.images:
        data = base64.b64encode(image.data).decode()
        url = {"url": f"data:{image.media_type};base64,{data}"}
        parts.append({"type": "image_url", "image_url": url})
    return {"role": message.role, "content": parts}


def _tool_choice(choice: str) -> str | dict[str, Any]:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _schema_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    if schema.get("type") != "object":
        raise ModelFault("unsupported", "the service answers with objects alone")
    strict = strict_schema(schema)
    named = {
        "name": "answer",
        "strict": strict is not None,
        "schema": dict(schema) if strict is None else strict,
    }
    return {"type": "json_schema", "json_schema": named}
