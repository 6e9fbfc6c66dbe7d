"""What expressions may call: operators and the commonest functions here, the rest in the library.

A function that is not in ``FUNCTIONS`` is called in the C++ library, one call at a time, with its
arguments weighed first; the library never sees a whole expression at run time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from codex32.engine.cel.library import library_function
from codex32.engine.cel.values import (
    INT_MAX,
    NOTHING,
    Frame,
    Optional,
    checked_int,
    equal,
    to_json,
    type_name,
    weigh,
)
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import dumps, loads

Function = Callable[..., Any]
_NUMBERS = (int, float)
_ORDERED = (int, float, str, bool, datetime, timedelta, bytes)


def no_overload(name: str, *args: Any) -> ExpressionFault:
    """The fault of calling ``name`` with values of types it does not take."""
    kinds = [type_name(arg) for arg in args]
    shown = f" {name} ".join(kinds) if len(kinds) == 2 and not name.isalpha() else None
    remedy = "; write double(…) to mix int and double" if set(kinds) == {"int", "double"} else ""
    return ExpressionFault(
        f"cannot do {shown}{remedy}" if shown else f"{name} takes no {', '.join(kinds)}"
    )


def _add(frame: Frame, left: Any, right: Any) -> Any:
    kind = type(left)
    if kind is type(right):
        if kind is int:
            return checked_int(left + right)
        if kind is str or kind is bytes:
            frame.charge((len(left) + len(right)) // 100)
            return left + right
        if kind is list:
            frame.charge((len(left) + len(right)) // 4)
            return left + right
        if kind in (float, timedelta):
            return left + right
    if {kind, type(right)} == {datetime, timedelta}:
        return left + right
    raise no_overload("+", left, right)


def _subtract(frame: Frame, left: Any, right: Any) -> Any:
    kind = type(left)
    if kind is type(right) and kind in (int, float, timedelta, datetime):
        return checked_int(left - right) if kind is int else left - right
    if kind is datetime and type(right) is timedelta:
        return left - right
    raise no_overload("-", left, right)


def _multiply(frame: Frame, left: Any, right: Any) -> Any:
    if type(left) is not type(right) or type(left) not in _NUMBERS:
        raise no_overload("*", left, right)
    return checked_int(left * right) if type(left) is int else left * right


def _divide(frame: Frame, left: Any, right: Any) -> Any:
    if type(left) is not type(right) or type(left) not in _NUMBERS:
        raise no_overload("/", left, right)
    if type(left) is int:
        if right == 0:
            raise ExpressionFault("division by zero")
        # CEL rounds towards zero where Python rounds down.
        quotient = abs(left) // abs(right)
        return checked_int(quotient if (left < 0) == (right < 0) else -quotient)
    if right == 0:
        return float("nan") if left == 0 or left != left else float("inf") * left
    return left / right


def _modulo(frame: Frame, left: Any, right: Any) -> Any:
    if type(left) is not int or type(right) is not int:
        raise no_overload("%", left, right)
    if right == 0:
        raise ExpressionFault("modulus by zero")
    rest = abs(left) % abs(right)
    return rest if left >= 0 else -rest


def _negate(frame: Frame, value: Any) -> Any:
    if type(value) not in (*_NUMBERS, timedelta):
        raise no_overload("-", value)
    return checked_int(-value) if type(value) is int else -value


def _not(frame: Frame, value: Any) -> bool:
    if type(value) is not bool:
        raise no_overload("!", value)
    return not value


def _ordering(name: str, compare: Callable[[Any, Any], bool]) -> Function:
    def ordered(frame: Frame, left: Any, right: Any) -> bool:
        kinds = {type(left), type(right)}
        if type(left) in _ORDERED and (len(kinds) == 1 or kinds == {int, float}):
            return compare(left, right)
        raise no_overload(name, left, right)

    return ordered


def _not_equal(frame: Frame, left: Any, right: Any) -> bool:
    return not equal(frame, left, right)


def _in(frame: Frame, value: Any, where: Any) -> bool:
    if isinstance(where, Mapping):
        return type(value) is str and value in where
    if type(where) is not list:
        raise no_overload("in", value, where)
    frame.charge(len(where))
    return any(equal(frame, value, each) for each in where)


def _size(frame: Frame, value: Any) -> int:
    if type(value) in (str, list, bytes) or isinstance(value, Mapping):
        return len(value)
    raise no_overload("size", value)


def _texts(name: str, use: Callable[[str, str], Any]) -> Function:
    def function(frame: Frame, left: Any, right: Any) -> Any:
        if type(left) is not str or type(right) is not str:
            raise no_overload(name, left, right)
        frame.charge((len(left) + len(right)) // 1000)
        return use(left, right)

    return function


def _split(frame: Frame, text: Any, by: Any, limit: Any = -1) -> list[str]:
    if type(text) is not str or type(by) is not str or type(limit) is not int:
        raise no_overload("split", text, by, limit)
    frame.charge(len(text) // 10)
    if limit == 0:
        return []
    if limit == 1:
        return [text]
    if by:
        return text.split(by, max(limit, 0) - 1 if limit > 0 else -1)
    if 0 < limit < len(text):
        return [*text[: limit - 1], text[limit - 1 :]]
    return list(text)


def _join(frame: Frame, parts: Any, by: Any = "") -> str:
    if type(parts) is not list or type(by) is not str:
        raise no_overload("join", parts, by)
    for part in parts:
        if type(part) is not str:
            raise ExpressionFault(f"join takes texts, and the list holds a {type_name(part)}")
    frame.charge(len(parts) + (sum(map(len, parts)) + len(by) * len(parts)) // 100)
    return by.join(parts)


def _replace(frame: Frame, text: Any, old: Any, new: Any, limit: Any = -1) -> str:
    if not (type(text) is type(old) is type(new) is str) or type(limit) is not int:
        raise no_overload("replace", text, old, new)
    times = text.count(old)
    frame.charge((len(text) + times * len(new)) // 100)
    return text.replace(old, new, limit)


def _json(frame: Frame, value: Any) -> str:
    weigh(frame, value)
    text = dumps(to_json(frame, value))
    frame.charge(len(text) // 20)
    return text


def _parse_json(frame: Frame, text: Any) -> Any:
    if type(text) is not str:
        raise no_overload("parse_json", text)
    frame.charge(len(text) // 10)
    try:
        return loads(text)
    except ValueError as error:
        raise ExpressionFault(f"parse_json: the text is no JSON: {error}") from None


def _distinct(frame: Frame, items: Any) -> list[Any]:
    if type(items) is not list:
        raise no_overload("distinct", items)
    weigh(frame, items)
    frame.charge(4 * len(items))
    seen: dict[Any, Any] = {}
    for each in items:
        seen.setdefault(_identity(each), each)
    return list(seen.values())


def _identity(value: Any) -> Any:
    """A hashable stand-in: equal for values that CEL calls equal."""
    if type(value) is list:
        return ("list", *map(_identity, value))
    if isinstance(value, Mapping):
        return ("map", frozenset((k, _identity(v)) for k, v in value.items()))
    return (type(value) is bool, value)


def _sort(frame: Frame, items: Any) -> list[Any]:
    if type(items) is not list:
        raise no_overload("sort", items)
    frame.charge(len(items) * 4)
    kinds = {type(each) for each in items}
    if not kinds <= {int, float} and (len(kinds) > 1 or not kinds <= set(_ORDERED)):
        named = ", ".join(sorted({type_name(each) for each in items}))
        raise ExpressionFault(f"sort takes numbers or texts of one kind; the list holds {named}")
    return sorted(items)


def _flatten(frame: Frame, items: Any) -> list[Any]:
    if type(items) is not list:
        raise no_overload("flatten", items)
    out: list[Any] = []
    for each in items:
        out += each if type(each) is list else [each]
        frame.charge(1 + (len(each) // 4 if type(each) is list else 0))
    return out


def _value(frame: Frame, optional: Any) -> Any:
    if _optional("value", optional).value is NOTHING:
        raise ExpressionFault("the optional is empty; use orValue(…) where it may be")
    return optional.value


def _optional(name: str, value: Any) -> Optional:
    if type(value) is Optional:
        return value
    raise no_overload(name, value)


def _or_value(frame: Frame, optional: Any, other: Any) -> Any:
    held = _optional("orValue", optional).value
    return other if held is NOTHING else held


def _or(frame: Frame, optional: Any, other: Any) -> Any:
    return _optional("or", other if _optional("or", optional).value is NOTHING else optional)


def _of_non_zero(frame: Frame, value: Any) -> Optional:
    return Optional(value if value or type(value) is datetime else NOTHING)


def _unwrap(frame: Frame, items: Any) -> list[Any]:
    if type(items) is not list:
        raise no_overload("optional.unwrap", items)
    held = (_optional("optional.unwrap", each).value for each in items)
    return [each for each in held if each is not NOTHING]


def _index(frame: Frame, value: Any, key: Any) -> Any:
    found = lookup(value, key)
    if found is not NOTHING:
        return found
    if type(value) is list:
        raise ExpressionFault(f"there is no item {key}; the list has {len(value)}")
    raise ExpressionFault(f"there is no key {key!r}")


def lookup(value: Any, key: Any) -> Any:
    """``value[key]``, or NOTHING where there is none.

    Raises:
      ExpressionFault: ``value`` holds nothing by such a key, whatever it may be.
    """
    if isinstance(value, Mapping):
        return value.get(key, NOTHING) if type(key) is str else NOTHING
    if type(value) is list:
        if type(key) is float and key.is_integer():
            key = int(key)
        if type(key) is int:
            return value[key] if 0 <= key < len(value) else NOTHING
    raise no_overload("[]", value, key)


def _maybe(frame: Frame, value: Any, key: Any) -> Optional:
    inner = value.value if type(value) is Optional else value
    return Optional(NOTHING if inner is NOTHING or inner is None else lookup(inner, key))


def _to_int(frame: Frame, value: Any) -> Any:
    return value if type(value) is int else library_function("int", False)(frame, value)


def _to_double(frame: Frame, value: Any) -> Any:
    if type(value) is int and abs(value) <= INT_MAX:
        return float(value)
    return value if type(value) is float else library_function("double", False)(frame, value)


def _to_string(frame: Frame, value: Any) -> Any:
    if type(value) is str:
        return value
    return str(value) if type(value) is int else library_function("string", False)(frame, value)


FUNCTIONS: dict[str, Function] = {
    "_+_": _add,
    "_-_": _subtract,
    "_*_": _multiply,
    "_/_": _divide,
    "_%_": _modulo,
    "-_": _negate,
    "!_": _not,
    "_==_": equal,
    "_!=_": _not_equal,
    "_<_": _ordering("<", operator.lt),
    "_<=_": _ordering("<=", operator.le),
    "_>_": _ordering(">", operator.gt),
    "_>=_": _ordering(">=", operator.ge),
    "_[_]": _index,
    "_?._": _maybe,
    "_[?_]": _maybe,
    "@in": _in,
    "size": _size,
    "contains": _texts("contains", operator.contains),
    "startsWith": _texts("startsWith", str.startswith),
    "endsWith": _texts("endsWith", str.endswith),
    "split": _split,
    "join": _join,
    "replace": _replace,
    "json": _json,
    "parse_json": _parse_json,
    "distinct": _distinct,
    "sort": _sort,
    "flatten": _flatten,
    "int": _to_int,
    "double": _to_double,
    "string": _to_string,
    "dyn": lambda frame, value: value,
    "optional.of": lambda frame, value: Optional(value),
    "optional.none": lambda frame: Optional(NOTHING),
    "optional.ofNonZeroValue": _of_non_zero,
    "optional.unwrap": _unwrap,
    "unwrapOpt": _unwrap,
    "hasValue": lambda frame, value: _optional("hasValue", value).value is not NOTHING,
    "value": _value,
    "or": _or,
    "orValue": _or_value,
    "type": lambda frame, value: Type(type_name(value)),
}


class Type:
    """A CEL type as a value: what ``type(x)`` gives and ``int`` names."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Type) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


@lru_cache(maxsize=256)
def function(name: str, member: bool) -> Function:
    """The function called ``name``; ``member`` for the form ``target.name(…)``."""
    return FUNCTIONS.get(name) or library_function(name, member)
