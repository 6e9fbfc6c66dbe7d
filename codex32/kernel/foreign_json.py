"""JSON from strangers: of bounded depth, finite numbers, no key twice, or told to be none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from codex32.kernel.json_values import JSON

#: Lists and objects inside each other; what is kept must be readable on every stack.
MAX_DEPTH = 64


class NotJson(ValueError):
    """Bytes that are no JSON, or none that is taken; the text tells whoever sent them why."""


def parse_foreign(data: bytes) -> JSON:
    """The value of a body that somebody sent.

    Raises:
      NotJson: It is no JSON, holds a number that is not finite or a key twice, or is too deep.
    """
    try:
        value = _decoder.decode(data.decode("utf-8"))
        deep = data.count(b"[") + data.count(b"{") > MAX_DEPTH and is_deep(value)
    except NotJson:
        raise
    except UnicodeDecodeError:
        raise NotJson("the body is no UTF-8 text") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise NotJson(f"the body is no JSON: {error.msg} at {place}") from None
    except ValueError:
        raise NotJson("the body holds a number that is too large or not finite") from None
    except RecursionError:
        deep = True
    if deep:
        raise NotJson(f"the body holds more than {MAX_DEPTH} levels of lists and objects")
    return value


def is_deep(value: JSON) -> bool:
    """Whether more than ``MAX_DEPTH`` lists and objects are inside each other."""
    level: list[JSON] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: JSON) -> Any:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) < len(pairs):  # of two readers each could go by another
        raise NotJson("the body holds an object in which a key stands twice")
    return found


_decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_finite, object_pairs_hook=_object)
