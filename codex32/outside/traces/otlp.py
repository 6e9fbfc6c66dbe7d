"""Spans as OTLP has them on the wire.

The messages are OpenTelemetry's (https://opentelemetry.io/docs/specs/otlp/), stable since 1.0.
They are written by hand because most of a span was written a thousand times before: its name, its
kind, nearly all of its attributes. Filling in the messages of ``opentelemetry-proto`` takes
several times as long, and tracing would cost half of what is traced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from struct import Struct

from codex32.outside.traces.spans import Attribute, Span

_KINDS = {"internal": 1, "server": 2, "client": 3, "consumer": 5}
_ERROR = 2

# Tags on the wire: a field's number times eight, and how its end is found.
_TRACE, _SPAN, _PARENT = b"\x0a\x10", b"\x12\x08", b"\x22\x08"  # with their lengths
_SAMPLED = b"\x85\x01\x01\x00\x00\x00"  # 16 flags
_TIMES = Struct("<BQBQ")  # 7 start_time_unix_nano, 8 end_time_unix_nano
_DOUBLE = Struct("<Bd")
_SHORT = [bytes((value,)) for value in range(256)]


def request(resource: Mapping[str, Attribute], version: str, spans: Iterable[bytes]) -> bytes:
    """The request that tells of ``spans``.

    Args:
      resource: What makes them: the service, its version, the process.
      version: Of the scope, which is this house.
      spans: As :func:`encoded` gives them.
    """
    about = b"".join(_sized(1, _pair(name, value)) for name, value in resource.items())
    scope = _sized(1, b"codex32") + _sized(2, version.encode())
    group = _sized(1, about) + _sized(2, b"".join((_sized(1, scope), *spans)))
    return _sized(1, group)


def encoded(span: Span) -> bytes:
    """A span that has ended, as it stands among the spans of a request."""
    context, parent, error = span.context, span.parent, span.error
    parts = [
        _TRACE,
        bytes.fromhex(context.trace),
        _SPAN,
        bytes.fromhex(context.span),
        _named(span.name, span.kind),
        _TIMES.pack(0x39, span.begun, 0x41, span.ended),
        _SAMPLED,
    ]
    parts += [_attribute(name, value) for name, value in span.attributes.items()]
    if parent is not None:
        parts += _PARENT, bytes.fromhex(parent)
    if error is not None:
        parts += _attribute("error.type", error), _failed(error)
    return _sized(2, b"".join(parts))


@lru_cache(maxsize=1024)
def _named(name: str, kind: str) -> bytes:
    return _sized(5, _text(name)) + _whole(6, _KINDS[kind])


@lru_cache(maxsize=4096, typed=True)  # 1 is not True
def _attribute(name: str, value: Attribute) -> bytes:
    return _sized(9, _pair(name, value))


@lru_cache(maxsize=256)
def _failed(error: str) -> bytes:
    return _sized(15, _sized(2, _text(error)) + _whole(3, _ERROR))


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
    return _SHORT[field << 3 | 2] + _varint(len(body)) + body


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
