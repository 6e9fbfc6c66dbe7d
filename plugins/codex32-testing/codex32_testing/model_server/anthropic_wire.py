"""``/v1/messages`` and its neighbours as Anthropic speaks them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from codex32_testing.model_server.errors import WireError, bad
from codex32_testing.model_server.speech import count_json, pieces
from codex32_testing.model_server.turns import ABSENT, Said, Tokens

_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tools": "tool_use",
    "refused": "refusal",
    "filtered": "refusal",
}
#: Words of JSON Schema that structured outputs do not take.
_UNKNOWN_WORDS = {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "not", "if", "oneOf"),
}


def check(body: Mapping[str, Any], *, counting: bool = False) -> WireError | None:
    """What the service would refuse in a message, or None."""
    if not counting and not isinstance(body.get("max_tokens"), int):
        return bad("max_tokens: Field required")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return bad("messages: at least one message is required")
    if any(message.get("role") not in ("user", "assistant") for message in messages):
        return bad("messages: Unexpected role. Allowed roles are 'user' or 'assistant'")
    if messages[0]["role"] != "user":
        return bad('messages: first message must use the "user" role')
    if messages[-1]["role"] == "assistant":
        return bad("This model does not support assistant message prefill.")
    wanted = (body.get("output_config") or {}).get("format") or {}
    if wanted and (fault := _wrong_schema(wanted.get("schema") or {})):
        return bad(f"output_config.format.schema: {fault}")
    return _wrong_order(messages) or _empty_text(messages)


def _wrong_order(messages: Sequence[Mapping[str, Any]]) -> WireError | None:
    asked: set[str] = set()
    for message in messages:
        blocks = message["content"] if isinstance(message["content"], list) else []
        answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if answered - asked:
            return bad("messages: unexpected `tool_use_id` found in `tool_result` blocks")
        if asked - answered:
            return bad(
                "messages: `tool_use` ids were found without `tool_result` blocks immediately "
                f"after: {', '.join(sorted(asked - answered))}"
            )
        asked = {block["id"] for block in blocks if block["type"] == "tool_use"}
    return None


def _empty_text(messages: Sequence[Mapping[str, Any]]) -> WireError | None:
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not blocks:
            return bad("messages: all messages must have non-empty content")
        if any(block["type"] == "text" and not block["text"] for block in blocks):
            return bad("messages: text content blocks must be non-empty")
    return None


def _wrong_schema(schema: Any) -> str | None:
    if isinstance(schema, list):
        return next((fault for part in schema if (fault := _wrong_schema(part))), None)
    if not isinstance(schema, dict):
        return None
    if unknown := _UNKNOWN_WORDS & set(schema):
        return f"For '{schema.get('type')}' type, property '{min(unknown)}' is not supported"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    inner = [part for name, part in schema.items() if name not in ("properties", "enum", "const")]
    return _wrong_schema(inner) or _wrong_schema(list(schema.get("properties", {}).values()))


def tokens_of(body: Mapping[str, Any]) -> int:
    """Tokens of the prompt."""
    return sum(count_json(body.get(name) or []) for name in ("system", "messages", "tools"))


def prompt(body: Mapping[str, Any]) -> tuple[str, int, Any, int | None]:
    """Last text of the user, tokens, schema and limit of a message."""
    last = ""
    for message in body["messages"]:
        content = message["content"]
        if message["role"] == "user":
            texts = [content] if isinstance(content, str) else _texts(content)
            last = " ".join(texts) or last
    wanted = (body.get("output_config") or {}).get("format") or {}
    return last, tokens_of(body), wanted.get("schema"), body.get("max_tokens")


def _texts(blocks: Sequence[Mapping[str, Any]]) -> list[str]:
    return [block["text"] for block in blocks if block["type"] == "text"]


def usage(said: Said) -> dict[str, Any] | None:
    """The usage of an answer, or what is told instead; None where it is left out."""
    told = said.turn.usage
    if told == ABSENT:
        return None
    if told is not None:
        return dict(told)
    return counted(said.tokens)


def counted(tokens: Tokens) -> dict[str, Any]:
    """True usage: tokens of the cache are NOT counted among those of the prompt."""
    return {
        "input_tokens": tokens.fresh,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.written,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
        "service_tier": "standard",
    }


def whole(said: Said) -> dict[str, Any]:
    """A whole answer."""
    content: list[dict[str, Any]] = []
    if said.text:
        content.append({"type": "text", "text": said.text, "citations": None})
    content += [
        {"type": "tool_use", "id": id_, "name": name, "input": _read(arguments)}
        for id_, name, arguments in said.tool_calls
    ]
    answer = {**_head(said), "content": content, **_stopped(said)}
    if (told := usage(said)) is not None:
        answer["usage"] = told
    return answer


def _read(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments  # as a service would that has lost its way


def _stopped(said: Said) -> dict[str, Any]:
    stopped: dict[str, Any] = {"stop_reason": _STOP[said.stop], "stop_sequence": None}
    if _STOP[said.stop] == "refusal":
        why = said.refusal or "The answer was held back by a filter."
        stopped["stop_details"] = {"type": "refusal", "category": "cyber", "explanation": why}
    return stopped


def events(said: Said, body: Mapping[str, Any]) -> Iterator[bytes]:
    """A stream: usage of the prompt at its start, of the answer at its end."""
    told = usage(said)
    opened = {**_head(said), "content": [], "stop_reason": None, "stop_sequence": None}
    if told is not None:
        first = dict(told)
        if first.get("output_tokens"):
            first["output_tokens"] = 1 if said.turn.usage is None else first["output_tokens"]
        opened["usage"] = first
    yield _frame("message_start", {"message": opened})
    yield _frame("ping", {})
    place = 0
    block: dict[str, Any]
    if said.text:
        block = {"type": "text", "text": ""}
        yield _frame("content_block_start", {"index": place, "content_block": block})
        for piece in pieces(said.text):
            yield _delta(place, {"type": "text_delta", "text": piece})
        yield _frame("content_block_stop", {"index": place})
        place += 1
    for id_, name, arguments in said.tool_calls:
        block = {"type": "tool_use", "id": id_, "name": name, "input": {}}
        yield _frame("content_block_start", {"index": place, "content_block": block})
        for start in range(0, len(arguments), 7):
            part = arguments[start : start + 7]
            yield _delta(place, {"type": "input_json_delta", "partial_json": part})
        yield _frame("content_block_stop", {"index": place})
        place += 1
    if said.turn.carriage.finish:
        ended: dict[str, Any] = {"delta": _stopped(said)}
        if told is not None:
            ended["usage"] = told
        yield _frame("message_delta", ended)
    if said.turn.carriage.done:
        yield _frame("message_stop", {})


def error_event(error: WireError) -> bytes:
    """An error in the middle of a stream."""
    body = error.anthropic("req_local")
    return _frame("error", {"error": body["error"]})


def models(names: Sequence[str]) -> dict[str, Any]:
    """The list of models."""
    data = [
        {
            "type": "model",
            "id": name,
            "display_name": name.title(),
            "created_at": "2026-01-01T00:00:00Z",
        }
        for name in names
    ]
    first, last = (names[0], names[-1]) if names else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def _head(said: Said) -> dict[str, Any]:
    return {"id": f"msg_{said.id}", "type": "message", "role": "assistant", "model": said.model}


def _delta(place: int, delta: Mapping[str, Any]) -> bytes:
    return _frame("content_block_delta", {"index": place, "delta": delta})


def _frame(kind: str, fields: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
