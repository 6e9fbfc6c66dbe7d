"""JSON as the house reads and writes it: strict, finite, compact."""

from __future__ import annotations

import json
import math
from typing import Any, TypeAlias

JSON: TypeAlias = Any

_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=True
)
_canonical = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":"))


def dumps(value: JSON) -> str:
    """Compact JSON text.

    Raises:
      TypeError: Something in ``value`` is no JSON; the message names its type.
      ValueError: A number is not finite, or a value holds itself.
    """
    text = _encoder.encode(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # Lone surrogates cannot be stored as UTF-8; their escapes can.
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def loads(text: str | bytes) -> JSON:
    """The value of JSON text.

    Raises:
      ValueError: The text is no JSON, or holds NaN or an infinity.
    """
    return _decoder.decode(text if isinstance(text, str) else text.decode())


def canonical(value: JSON) -> str:
    """Compact JSON with sorted keys: equal values give equal texts."""
    return _canonical.encode(value)


def is_json(value: object) -> bool:
    """Whether ``value`` is made of JSON's own types, with string keys and finite numbers."""
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return math.isfinite(value)
        case list():
            return all(map(is_json, value))
        case dict():
            return all(isinstance(k, str) and is_json(v) for k, v in value.items())
    return False


def _refuse(name: str) -> JSON:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # 1e999 is written like a number
        raise ValueError(f"{text[:20]} is no JSON number that can be kept")
    return value


# Made once: json.loads makes a decoder a call where it is told of constants.
_decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
