"""The C++ library: parsing, type checking, and single calls of its functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from codex32.engine.cel.tree import Node, decode
from codex32.engine.cel.values import Frame, weigh
from codex32.kernel.errors import ExpressionFault

#: Arguments the longest library function takes; ``math.greatest`` takes any number.
_MOST_ARGUMENTS = 8
#: What may be called, for suggestions and the reference.
FUNCTION_NAMES = tuple(
    [
        "all",
        "base64.decode",
        "base64.encode",
        "bool",
        "bytes",
        "charAt",
        "contains",
        "distinct",
        "double",
        "duration",
        "dyn",
        "endsWith",
        "exists",
        "exists_one",
        "filter",
        "flatten",
        "format",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
        "has",
        "hasValue",
        "indexOf",
        "int",
        "join",
        "json",
        "lastIndexOf",
        "lowerAscii",
        "map",
        "matches",
        "math.abs",
        "math.bitAnd",
        "math.bitNot",
        "math.bitOr",
        "math.bitShiftLeft",
        "math.bitShiftRight",
        "math.bitXor",
        "math.ceil",
        "math.floor",
        "math.greatest",
        "math.isFinite",
        "math.isInf",
        "math.isNaN",
        "math.least",
        "math.round",
        "math.sign",
        "math.sqrt",
        "math.trunc",
        "optFlatMap",
        "optMap",
        "optional.none",
        "optional.of",
        "optional.ofNonZeroValue",
        "or",
        "orValue",
        "parse_json",
        "replace",
        "reverse",
        "size",
        "sort",
        "split",
        "startsWith",
        "string",
        "strings.quote",
        "substring",
        "timestamp",
        "trim",
        "type",
        "uint",
        "unwrapOpt",
        "upperAscii",
        "value",
    ]
)
_CARRIED = {datetime: "timestamp", timedelta: "duration"}
_FAULT = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_PREFIX = re.compile(r"^[A-Z_]+: ")


class Complaint(Exception):
    """The library refused an expression.

    Attributes:
      faults: Line and column in the expression, counted from 1 (0 where unknown), and message.
    """

    def __init__(self, faults: list[tuple[int, int, str]]) -> None:
        super().__init__("; ".join(message for _, _, message in faults))
        self.faults = faults


def parse(text: str, variables: frozenset[tuple[str, str]]) -> Node:
    """Parse and check ``text`` with these variables: pairs of name and type.

    Types are ``string integer boolean dyn`` and ``list:`` before one of these.

    Raises:
      Complaint: The text is no expression over them.
    """
    return decode(_compiled(text, variables).serialize())


def check(text: str, variables: frozenset[tuple[str, str]]) -> None:
    """Like :func:`parse`, for what the type checker has to say alone."""
    _compiled(text, variables)


def _compiled(text: str, variables: frozenset[tuple[str, str]]) -> Any:
    try:
        return _environment(variables).compile(text)
    except RuntimeError as error:
        raise Complaint(_faults(str(error))) from None


def library_function(name: str, member: bool) -> Callable[..., Any]:
    """A function of the library, to be called with a frame and the arguments."""

    def call(frame: Frame, *args: Any) -> Any:
        # Each call crosses into C++ and compiles nothing; the fixed part is a few microseconds.
        frame.charge(20 + len(args))
        for arg in args:
            weigh(frame, arg)
        if name == "matches" and all(type(arg) is str for arg in args):
            frame.charge(len(args[0]) * len(args[1]) // 2000)
        expression = _call(name, member, tuple(_CARRIED.get(type(arg), "") for arg in args))
        try:
            value = expression.eval(data={f"a{i}": _carried(arg) for i, arg in enumerate(args)})
            result, kind = value.plain_value(), value.type().name()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise ExpressionFault(f"{name}: {_PREFIX.sub('', str(error))}") from None
        if kind == "ERROR":
            raise ExpressionFault(f"{name}: {_PREFIX.sub('', result)}")
        weigh(frame, result)
        return bytes(result) if isinstance(result, bytearray) else result

    return call


def _carried(value: Any) -> Any:
    """Times and durations enter the library as text; it takes them no other way."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value.total_seconds():.6f}s" if isinstance(value, timedelta) else value


@lru_cache(maxsize=256)
def _call(name: str, member: bool, wrappers: tuple[str, ...]) -> Any:
    if len(wrappers) > _MOST_ARGUMENTS:
        raise ExpressionFault(f"{name} takes at most {_MOST_ARGUMENTS} arguments; give it a list")
    plain = [f"a{i}" for i in range(len(wrappers))]
    names = [f"{wrap}({each})" for wrap, each in zip(wrappers, plain, strict=True)]
    written = name.replace("@max", "greatest").replace("@min", "least")
    text = (
        f"{names[0]}.{written}({', '.join(names[1:])})"
        if member
        else f"{written}({', '.join(names)})"
    )
    return _environment(frozenset((each, "dyn") for each in plain)).compile(text)


@lru_cache(maxsize=512)
def _environment(variables: frozenset[tuple[str, str]]) -> Any:
    from codex32.engine.cel.environment import new_environment

    return new_environment(variables)


def _faults(text: str) -> list[tuple[int, int, str]]:
    found = [
        (max(int(line), 0), max(int(column), 0), message.removesuffix(" [INVALID_ARGUMENT]"))
        for line, column, message in _FAULT.findall(text)
    ]
    if "recursion" in text:
        return [(0, 0, "it is nested too deeply (at most 32 levels, or terms of one sum)")]
    return found or [(0, 0, _PREFIX.sub("", text.partition("\n")[0]))]
