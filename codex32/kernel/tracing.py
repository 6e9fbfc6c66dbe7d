"""Where something belongs in a trace: W3C trace contexts, and ids that nobody has to pass on.

The ids of executions and attempts in a trace are made of their own ids. So the process that ends
an execution tells of the same span as the one that began it, whoever died in between.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


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

    def attempt(self, number: int) -> TraceContext:
        """The span of an attempt at the execution whose span this is."""
        return TraceContext(self.trace, f"{int(self.span, 16) ^ number:016x}", self.sampled)


def trace_of(execution_id: str) -> str:
    """The id of the trace that begins with an execution; its second half names the execution."""
    return hashlib.blake2b(execution_id.encode(), digest_size=16).hexdigest()
