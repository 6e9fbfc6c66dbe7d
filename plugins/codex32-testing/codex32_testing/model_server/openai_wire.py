"""``/v1/chat/completions`` and ``/v1/models`` as OpenAI speaks them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from codex32_testing.model_server.errors import WireError, bad
from codex32_testing.model_server.speech import count_json, pieces
from codex32_testing.model_server.turns import ABSENT, Said, Tokens

_FINISH = {
    "stop": "stop",
    "length": "length",
    "tools": "tool_calls",
    "refused": "stop",
    "filtered": "content_filter",
}
_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
#: Models that reason take no temperature, and the older name of the limit no more.
_REASONING = ("gpt-5", "gpt-6", "o1", "o3", "o4")


def check(body: Mapping[str, Any]) -> WireError | None:
    """What the service would refuse in a chat, or None."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return bad("Invalid type for 'messages': expected a non-empty array.", param="messages")
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            return bad("Invalid value: role", param=f"messages[{place}].role")
    return _wrong_order(messages) or _wrong_parameters(body) or _wrong_format(body)


def _wrong_order(messages: Sequence[Mapping[str, Any]]) -> WireError | None:
    asked: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in asked:
                return bad(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceding message with 'tool_calls'.",
                    param="messages",
                )
            asked.discard(message["tool_call_id"])
        elif asked:
            break
        else:
            asked = {call["id"] for call in message.get("tool_calls") or ()}
    if asked:
        return bad(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            f"to each 'tool_call_id'. Missing: {', '.join(sorted(asked))}",
            param="messages",
        )
    return None


def _wrong_parameters(body: Mapping[str, Any]) -> WireError | None:
    if str(body.get("model", "")).startswith(_REASONING):
        if "max_tokens" in body:
            return bad(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.",
                param="max_tokens",
                code="unsupported_parameter",
            )
        if body.get("temperature") not in (None, 1, 1.0):
            return bad(
                "Unsupported value: 'temperature' does not support this value with this model. "
                "Only the default (1) value is supported.",
                param="temperature",
                code="unsupported_value",
            )
    if body.get("stream_options") and not body.get("stream"):
        return bad(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    return None


def _wrong_format(body: Mapping[str, Any]) -> WireError | None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object" and "json" not in json.dumps(body["messages"]).lower():
        return bad(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            param="messages",
        )
    if wanted.get("type") == "json_schema":
        given = wanted.get("json_schema") or {}
        if given.get("strict") and (fault := _not_strict(given.get("schema") or {})):
            return bad(
                f"Invalid schema for response_format '{given.get('name')}': {fault}",
                param="response_format",
                code="invalid_json_schema",
            )
    for tool in body.get("tools") or ():
        function = tool.get("function") or {}
        if function.get("strict") and (fault := _not_strict(function.get("parameters") or {})):
            return bad(
                f"Invalid schema for function '{function.get('name')}': {fault}",
                param="tools",
                code="invalid_function_parameters",
            )
    return None


def _not_strict(schema: Any) -> str | None:
    """The first thing that strict mode does not take."""
    if isinstance(schema, list):
        return next((fault for part in schema if (fault := _not_strict(part))), None)
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false."
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            return "'required' must be an array including every key in properties."
    inner = [part for name, part in schema.items() if name not in ("properties", "enum", "const")]
    return _not_strict(inner) or _not_strict(list(schema.get("properties", {}).values()))


def prompt(body: Mapping[str, Any]) -> tuple[str, int, Any, int | None]:
    """Last text of the user, tokens, schema and limit of a chat."""
    last = ""
    for message in body["messages"]:
        content = message.get("content")
        if message["role"] == "user":
            last = content if isinstance(content, str) else _text(content or ())
    wanted = (body.get("response_format") or {}).get("json_schema") or {}
    tokens = count_json(body["messages"]) + count_json(body.get("tools") or [])
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return last, tokens, wanted.get("schema"), limit


def _text(parts: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(part["text"] for part in parts if part.get("type") == "text")


def usage(said: Said) -> dict[str, Any] | None:
    """The usage of an answer, or what is told instead; None where it is left out."""
    told = said.turn.usage
    if told == ABSENT:
        return None
    if told is not None:
        return dict(told)
    return counted(said.tokens)


def counted(tokens: Tokens) -> dict[str, Any]:
    """True usage: tokens of the cache are counted among those of the prompt."""
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cached,
            "cache_write_tokens": tokens.written,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def whole(said: Said) -> dict[str, Any]:
    """A whole answer."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if said.refusal or (said.tool_calls and not said.text) else said.text,
        "refusal": said.refusal,
        "annotations": [],
    }
    if said.tool_calls:
        message["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in said.tool_calls
        ]
    answer = {
        **_head(said, "chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": _FINISH[said.stop],
            }
        ],
    }
    if (told := usage(said)) is not None:
        answer["usage"] = told
    return answer


def events(said: Said, body: Mapping[str, Any]) -> Iterator[bytes]:
    """A stream; usage comes in a chunk of its own, and only if it was asked for."""
    yield _chunk(said, {"role": "assistant", "content": "", "refusal": None})
    for piece in pieces(said.text):
        yield _chunk(said, {"content": piece})
    for piece in pieces(said.refusal or ""):
        yield _chunk(said, {"refusal": piece})
    for place, (id_, name, arguments) in enumerate(said.tool_calls):
        opened = {"name": name, "arguments": ""}
        call = {"index": place, "id": id_, "type": "function", "function": opened}
        yield _chunk(said, {"tool_calls": [call]})
        for start in range(0, len(arguments), 7):
            part = {"index": place, "function": {"arguments": arguments[start : start + 7]}}
            yield _chunk(said, {"tool_calls": [part]})
    if said.turn.carriage.finish:
        yield _chunk(said, {}, _FINISH[said.stop])
    told = usage(said)
    if told is not None and (body.get("stream_options") or {}).get("include_usage"):
        yield _frame({**_head(said, "chat.completion.chunk"), "choices": [], "usage": told})
    if said.turn.carriage.done:
        yield b"data: [DONE]\n\n"


def error_event(error: WireError) -> bytes:
    """An error in the middle of a stream."""
    return _frame(error.openai())


def models(names: Sequence[str]) -> dict[str, Any]:
    """The list of models."""
    data = [
        {"id": name, "object": "model", "created": 1_780_000_000, "owned_by": "system"}
        for name in names
    ]
    return {"object": "list", "data": data}


def _head(said: Said, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{said.id}",
        "object": kind,
        "created": said.created,
        "model": said.model,
        "service_tier": "default",
        "system_fingerprint": "fp_local",
    }


def _chunk(said: Said, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _frame({**_head(said, "chat.completion.chunk"), "choices": [choice]})


def _frame(value: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()
