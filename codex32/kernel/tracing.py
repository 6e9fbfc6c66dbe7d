"""Where something belongs in a trace: W3C trace contexts, and ids that nobody has to pass on.

The ids of executions and attempts in a trace are made of their own ids. So the process that ends
an execution tells of the same span as the one that began it, whoever died in between.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple, Protocol, TypeAlias

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


#: The ids of a trace and of a span in it: 16 bytes, and 8.
Ids: TypeAlias = tuple[bytes, bytes]


class Place(Protocol):
    """Where something stands in a trace; its ids may be worked out no sooner than one asks."""

    @property
    def sampled(self) -> bool:
        """Whether anybody keeps it."""

    def ids(self) -> Ids:
        """The trace, and the span that it is."""


class TraceContext(NamedTuple):
    """A span of a trace, as others name it.

    Attributes:
      trace: 32 hexadecimal digits.
      span: 16 hexadecimal digits.
      sampled: Whether anybody keeps it.
    """

    trace: str
    span: str
    sampled: bool = True

    @classmethod
    def of(cls, place: Place) -> TraceContext:
        """What a place is named outside."""
        trace, span = place.ids()
        return cls(trace.hex(), span.hex(), place.sampled)

    def ids(self) -> Ids:
        """The same as bytes: it is a :class:`Place`, too."""
        return bytes.fromhex(self.trace), bytes.fromhex(self.span)

    @classmethod
    def parse(cls, text: str | None) -> TraceContext | None:
        """What a header ``traceparent`` says; None where it says nothing that can be believed.

        See https://www.w3.org/TR/trace-context/#traceparent-header.
        """
        found = None if text is None else _TRACEPARENT.fullmatch(text)
        if found is None:
            return None
        version, trace, span, flags, more = found.groups()
        if version == "ff" or (version == "00" and more) or not (int(trace, 16) and int(span, 16)):
            return None
        return cls(trace, span, bool(int(flags, 16) & 1))

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-{int(self.sampled):02x}"


def trace_of(execution_id: str) -> bytes:
    """The id of the trace that begins with an execution."""
    return hashlib.blake2b(execution_id.encode(), digest_size=16).digest()


def span_of(trace: bytes, attempt: int = 0) -> bytes:
    """The span of an execution, by the trace that begins with it, or of an attempt at it.

    Also where it is a part of a longer trace: then of the one that it would have begun.
    """
    own = trace[8:]
    return (int.from_bytes(own) ^ attempt).to_bytes(8) if attempt else own
