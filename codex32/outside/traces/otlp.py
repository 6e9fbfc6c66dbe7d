"""Spans as OTLP has them on the wire.

The messages are OpenTelemetry's (https://opentelemetry.io/docs/specs/otlp/), stable since 1.0.
They are written by hand because most of a span was written a thousand times before: its name, its
kind, nearly all of its attributes. Filling in the messages of ``opentelemetry-proto`` takes
several times as long, and tracing would cost half of what is traced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Literal, TypeAlias

from codex32.kernel.tracing import Ids

Attribute: TypeAlias = str | int | float | bool
Kind: TypeAlias = Literal["internal", "server", "client", "consumer"]

_KINDS = {"internal": 1, "server": 2, "client": 3, "consumer": 5}
_ERROR = 2

#: Characters of a collector's own words that are told.
LONGEST_REASON = 200

# Tags on the wire: a field's number times eight, and how its end is found.
_TRACE, _SPAN, _PARENT = b"\x0a\x10", b"\x12\x08", b"\x22\x08"  # with their lengths
_SAMPLED = b"\x85\x01\x01\x00\x00\x00"  # 16 flags
_TIMES = Struct("<BQBQ")  # 7 start_time_unix_nano, 8 end_time_unix_nano
_DOUBLE = Struct("<Bd")
_SHORT = [bytes((value,)) for value in range(256)]


@dataclass(frozen=True, slots=True, eq=False)
class Doing:
    """What spans share that tell of the same doing: it is put into its form once.

    Attributes:
      error: In a word, why it failed; None where it did not.
      common: Attributes; no number among them stands for true or false.
    """

    name: str
    kind: Kind = "internal"
    error: str | None = None
    common: tuple[tuple[str, Attribute], ...] = ()

    def failed(self, error: str) -> Doing:
        """The same, and why it failed."""
        return doing(self.name, self.kind, error, self.common)


#: The one of its kind, by which all that tell of it find its form.
doing = lru_cache(maxsize=4096)(Doing)


def request(resource: Mapping[str, Attribute], version: str, spans: Iterable[bytes]) -> bytes:
    """The request that tells of ``spans``.

    Args:
      resource: What makes them: the service, its version, the process.
      version: Of the scope, which is this house.
      spans: As :func:`encoded` gives them.
    """
    pairs = b"".join(_sized(1, _pair(name, value)) for name, value in resource.items())
    scope = _sized(1, _sized(1, b"codex32") + _sized(2, version.encode()))
    told = [scope, *spans]
    # What is around a megabyte of spans is put before it, and the megabyte is copied once.
    size = sum(map(len, told))
    group = _sized(1, pairs) + _begin(2, size)
    return b"".join((_begin(1, len(group) + size), group, *told))


def refused(answer: bytes) -> tuple[int, str]:
    """How many spans an answer of 200 says were not taken, and why; 0 where it says nothing."""
    try:
        partial = _fields(_bytes(_fields(answer).get(1)))
        why = _bytes(partial.get(2)).decode(errors="replace")[:LONGEST_REASON]
        count = partial.get(1)
    except (IndexError, ValueError):  # what it says is no such message
        return 0, ""
    # A negative number comes as one beyond 63 bits, and means nothing.
    return (count, why) if isinstance(count, int) and count < 1 << 63 else (0, "")


def _fields(message: bytes) -> dict[int, int | bytes]:
    """The fields of a message by their numbers: whole numbers, texts, messages; of each the last.

    Raises:
      IndexError: It ends too early.
      ValueError: It holds what is none of these.
    """
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        value, at = _number(message, at)
        if tag & 7 == 2:
            if at + value > len(message):
                raise IndexError
            found[tag >> 3], at = message[at : at + value], at + value
        elif tag & 7 == 0:
            found[tag >> 3] = value
        else:
            raise ValueError(tag)
    return found


def _number(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins at ``at``, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def encoded(
    about: Doing,
    ids: Ids,
    above: bytes,
    times: tuple[int, int],
    attributes: Mapping[str, Attribute] | None = None,
    execution: bytes = b"",
) -> bytes:
    """A span that has ended, as it stands among the spans of a request.

    Args:
      about: As :func:`doing` gives it.
      ids: Its trace, and its own.
      above: The span it is a part of; empty where the trace begins with it.
      times: When it began and ended, in nanoseconds since 1970.
      attributes: What else is told of it: ids, names, counts; no secrets, no texts of people.
      execution: The id of the execution that it is; told like an attribute.
    """
    trace, own = ids
    begun, ended = times
    rest = [_TRACE, trace, _SPAN, own, _TIMES.pack(0x39, begun, 0x41, ended)]
    if above:
        rest += _PARENT, above
    if attributes:
        rest += [_attribute(name, value) for name, value in attributes.items()]
    varying = b"".join(rest)
    return b"".join((_head(about, len(execution), len(varying)), execution, varying))


@lru_cache(maxsize=4096)
def _head(doing: Doing, execution: int, room: int) -> bytes:
    """What spans of the same doing begin with; an execution's id follows, then ``room`` bytes."""
    parts = [_sized(5, _text(doing.name)), _whole(6, _KINDS[doing.kind]), _SAMPLED]
    parts += [_attribute(name, value) for name, value in doing.common]
    if doing.error is not None:
        failed = _sized(2, _text(doing.error)) + _whole(3, _ERROR)
        parts += _attribute("error.type", doing.error), _sized(15, failed)
    if execution:
        id_ = _attribute("codex32.execution.id", "-" * execution)
        parts.append(id_[:-execution])
    body = b"".join(parts)
    return _SHORT[2 << 3 | 2] + _varint(len(body) + execution + room) + body


@lru_cache(maxsize=4096, typed=True)  # 1 is not True
def _attribute(name: str, value: Attribute) -> bytes:
    return _sized(9, _pair(name, value))


def _pair(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        told = _sized(1, _text(value))
    elif isinstance(value, bool):
        told = _whole(2, value)
    elif isinstance(value, int):
        told = _whole(3, value)
    else:
        told = _DOUBLE.pack(4 << 3 | 1, value)
    return _sized(1, _text(name)) + _sized(2, told)


def _sized(field: int, body: bytes) -> bytes:
    """A field of texts, bytes or another message."""
    return _begin(field, len(body)) + body


def _begin(field: int, size: int) -> bytes:
    """What stands before ``size`` bytes of such a field."""
    return _SHORT[field << 3 | 2] + _varint(size)


def _whole(field: int, value: int) -> bytes:
    """A field of whole numbers; negative ones as 64 bits hold them."""
    return _SHORT[field << 3] + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the eighth bit."""
    if value < 128:
        return _SHORT[value]
    return _SHORT[value & 127 | 128] + _varint(value >> 7)


def _text(text: str) -> bytes:
    """Half a surrogate pair, which a name of a person's may hold, is no text on the wire."""
    return text.encode(errors="replace")
