"""CEL's values as Python holds them, how they compare, and what evaluation may spend.

Null, bool, int, double, string, list and map are JSON's own types; timestamps are aware
datetimes, durations timedeltas, bytes bytes. ``bool`` is never taken for an int.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON, dumps

#: Work one expression may do; a unit is about a quarter of a microsecond.
BUDGET = 300_000
#: Items one comprehension may visit.
MAX_ITEMS = 1_000
INT_MAX = 2**63 - 1
_NAMES = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    list: "list",
    dict: "map",
    bytes: "bytes",
    bytearray: "bytes",
    datetime: "timestamp",
    timedelta: "duration",
}


class Nothing:
    """What an empty optional holds."""


NOTHING = Nothing()


class Optional:
    """A CEL optional: a value, or nothing."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Frame:
    """One evaluation: what is in scope, and what may still be spent."""

    __slots__ = ("left", "locals", "places", "scope")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.scope = scope
        self.left = BUDGET
        self.locals: dict[str, Any] = {}
        #: Where the item of each running comprehension came from: its range's text and index.
        self.places: dict[str, tuple[Callable[[Frame], str], Any]] = {}

    def charge(self, units: int) -> None:
        """Spend; an expression that has spent all is refused."""
        self.left -= units
        if self.left < 0:
            raise ExpressionFault(
                "the expression is too much work (many items times many items, or very long "
                "texts); let a python step do it"
            )


def type_name(value: object) -> str:
    """CEL's name for the type of ``value``."""
    if isinstance(value, Optional):
        return "optional"
    if isinstance(value, Mapping):
        return "map"
    return _NAMES.get(type(value), type(value).__name__)


def checked_int(value: int) -> int:
    """``value``, if it fits 64 bits."""
    if -INT_MAX - 1 <= value <= INT_MAX:
        return value
    raise ExpressionFault("integer overflow: the result does not fit 64 bits")


def equal(frame: Frame, left: Any, right: Any) -> bool:
    """CEL's ``==``: numbers across int and double, everything else only within its type."""
    kind = type(left)
    if kind is not type(right):
        return {kind, type(right)} == {int, float} and bool(left == right)
    if kind is list:
        frame.charge(len(left))
        return len(left) == len(right) and all(
            equal(frame, a, b) for a, b in zip(left, right, strict=True)
        )
    if kind is dict:
        frame.charge(len(left))
        return left.keys() == right.keys() and all(equal(frame, left[k], right[k]) for k in left)
    if kind is str:
        frame.charge(len(left) >> 12)
    if kind is Optional:
        return equal(frame, left.value, right.value)
    return bool(left == right)


def weigh(frame: Frame, value: Any) -> None:
    """Spend for going through all of ``value``: a unit an item and one a hundred characters."""
    kind = type(value)
    if kind is list:
        frame.charge(len(value) + 1)
        for each in value:
            weigh(frame, each)
    elif kind is dict:
        frame.charge(len(value) + 1)
        for key, each in value.items():
            frame.charge(len(key) // 100)
            weigh(frame, each)
    elif kind is str or kind is bytes:
        frame.charge(len(value) // 100)


def to_json(frame: Frame, value: Any) -> JSON:
    """The JSON an expression yields: timestamps and durations become text.

    Spends a unit an item: a small value whose parts are shared can be large JSON.

    Raises:
      ExpressionFault: The value is bytes, a type, an infinity, or a map whose keys are no texts.
    """
    kind = type(value)
    if kind in (str, int, bool, type(None)):
        return value
    if kind is float:
        if value - value == 0:
            return value
        raise ExpressionFault(f"the result is {value}, which JSON cannot hold")
    if kind is list:
        frame.charge(len(value))
        return [to_json(frame, each) for each in value]
    if isinstance(value, Mapping):
        frame.charge(len(value))
        return {_key(key): to_json(frame, each) for key, each in value.items()}
    if kind is datetime:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if kind is timedelta:
        return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
    if kind is Optional:
        raise ExpressionFault("the result may be missing; end with .orValue(…)")
    if kind in (bytes, bytearray):
        raise ExpressionFault("bytes are no JSON; write base64.encode(…) or string(…)")
    raise ExpressionFault(f"a {type_name(value)} is no JSON")


def to_text(value: JSON) -> str:
    """What an expression inside text becomes: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else dumps(value)


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    raise ExpressionFault(f"the key {key!r} of a map is no text; write string(…)")
