"""What the model says where no turn says it: the same answer to the same request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from codex32 import JSON
from codex32_testing.model_server.turns import Said, Stop, Tokens, Turn

_TOKEN_CHARACTERS = 4
_IMAGE_TOKENS = 85
_CREATED = 1_790_000_000


def count(text: str) -> int:
    """Tokens of a text, roughly; a text that is not empty has at least one."""
    return -(-len(text) // _TOKEN_CHARACTERS)


def count_json(value: Any) -> int:
    """Tokens of all texts in a JSON value; data of images counts as one image each."""
    if isinstance(value, str):
        return _IMAGE_TOKENS if value.startswith("data:image/") else count(value)
    if isinstance(value, Mapping):
        if "data" in value and "media_type" in value:
            return _IMAGE_TOKENS
        return sum(count_json(part) for part in value.values())
    if isinstance(value, list):
        return sum(count_json(part) for part in value)
    return 0


def example(schema: Any, text: str) -> JSON:
    """The smallest value of a plain schema, with ``text`` wherever a text may stand."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return example(schema[word][0], text)
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties", {})
            names = schema.get("required", list(properties))
            return {name: example(properties.get(name, {}), text) for name in names}
        case "array":
            return [example(schema.get("items", {}), text)] * schema.get("minItems", 0)
        case "string":
            return text
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
    return None


def speak(
    turn: Turn, *, number: int, model: str, last: str, prompt: int, schema: Any, limit: int | None
) -> Said:
    """What is answered: the turn's words, or the model's own.

    Args:
      turn: What was laid down.
      number: Of the request; ids are made of it.
      model: Its name.
      last: The last text of the user.
      prompt: Tokens of the prompt.
      schema: The JSON Schema that was asked for, or None.
      limit: Most tokens of the answer, or None. A longer one is cut there.
    """
    if turn.text is not None:
        text = turn.text
    elif turn.tool_calls or turn.refusal is not None:
        text = ""
    else:
        text = last if schema is None else json.dumps(example(schema, last))
    calls = [
        (f"call_{number}_{place}", name, given if isinstance(given, str) else json.dumps(given))
        for place, (name, given) in enumerate(turn.tool_calls)
    ]
    stop: Stop = turn.stop or ("tools" if calls else "refused" if turn.refusal else "stop")
    if limit is not None and count(text) > limit:
        text, stop = text[: limit * _TOKEN_CHARACTERS], "length"
    written = count(text) + count(turn.refusal or "") + sum(count(n + a) for _, n, a in calls)
    tokens = turn.tokens or Tokens(fresh=prompt, output=max(1, written))
    name = hashlib.blake2b(f"{number}".encode(), digest_size=12).hexdigest()
    return Said(name, model, _CREATED + number, text, calls, turn.refusal, stop, tokens, turn)


def pieces(text: str) -> list[str]:
    """A text in pieces of a few words, as streams bring it; none is empty."""
    words = text.split(" ")
    parts = [" ".join(words[place : place + 2]) for place in range(0, len(words), 2)]
    spaced = [part if place == 0 else f" {part}" for place, part in enumerate(parts)]
    return [part for part in spaced if part]
