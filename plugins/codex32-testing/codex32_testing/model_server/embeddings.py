"""``/v1/embeddings``: vectors in which texts that share words are near, and what can be wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from codex32_testing.model_server.errors import WireError, bad
from codex32_testing.model_server.speech import count
from codex32_testing.model_server.turns import ABSENT, Turn

_WORD = re.compile(r"\w+")
_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
_DIMENSION = 1536
_MOST_TEXTS = 2048
_MOST_TOKENS_A_TEXT = 8192
_MOST_TOKENS = 300_000


def check(body: Mapping[str, Any]) -> WireError | None:
    """What the service would refuse, or None."""
    given = texts(body)
    if not given or not all(isinstance(text, str) and text for text in given):
        return bad("'$.input' is invalid: texts must not be empty.", param="input")
    if len(given) > _MOST_TEXTS:
        return bad(f"'$.input' is invalid: at most {_MOST_TEXTS} texts at once.", param="input")
    tokens = [count(text) for text in given]
    if max(tokens) > _MOST_TOKENS_A_TEXT:
        return bad(
            f"This model's maximum context length is {_MOST_TOKENS_A_TEXT} tokens, however you "
            f"requested {max(tokens)} tokens.",
            param="input",
            code="context_length_exceeded",
        )
    if sum(tokens) > _MOST_TOKENS:
        return bad(
            f"Requested {sum(tokens)} tokens, max {_MOST_TOKENS} tokens per request",
            param="input",
            code="max_tokens_per_request",
        )
    wanted = body.get("dimensions")
    if wanted is not None and not 1 <= wanted <= _size(body["model"]):
        return bad("Invalid value for 'dimensions'.", param="dimensions")
    return None


def texts(body: Mapping[str, Any]) -> list[Any]:
    """The texts of a request, of which one may come alone."""
    given = body.get("input")
    return given if isinstance(given, list) else [given]


def answer(body: Mapping[str, Any], turn: Turn) -> dict[str, Any]:
    """Vectors of length one, as floats or base64, right or as wrong as the turn wants them."""
    given = texts(body)
    size = body.get("dimensions") or _size(body["model"])
    if turn.vectors == "wrong-size":
        size //= 2
    plain = body.get("encoding_format") != "base64"
    data: list[dict[str, Any]] = []
    for place, text in enumerate(given):
        numbers = vector(text, size)
        if turn.vectors == "nan":
            numbers[0] = math.nan
        shown: Any = numbers if plain else _packed(numbers)
        data.append({"object": "embedding", "index": place, "embedding": shown})
    if turn.vectors == "short":
        data.pop()
    elif turn.vectors == "shuffled":
        data = data[1::2] + data[::2]
    elif turn.vectors == "none":
        data = []
    told: dict[str, Any] = {"object": "list", "data": data, "model": body["model"]}
    tokens = sum(map(count, given))
    if turn.usage != ABSENT:
        told["usage"] = turn.usage or {"prompt_tokens": tokens, "total_tokens": tokens}
    return told


def dump(value: Mapping[str, Any]) -> bytes:
    """As bytes; ``NaN`` stays, as broken servers write it."""
    return json.dumps(value).encode()


def vector(text: str, size: int) -> list[float]:
    """A vector of length one that knows words and not what they mean."""
    numbers = [0.0] * size
    for word in _WORD.findall(text.casefold()) or [text]:
        number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
        numbers[(number >> 1) % size] += 1.0 if number & 1 else -1.0
    length = math.hypot(*numbers)
    if not length:
        numbers[0] = length = 1.0
    return [value / length for value in numbers]


def _size(model: str) -> int:
    return _DIMENSIONS.get(model, _DIMENSION)


def _packed(numbers: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
