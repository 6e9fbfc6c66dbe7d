"""Spans: who makes them, beneath which, and which of them anybody keeps.

Of executions and attempts is told after the commit that ended them; of what happens within an
attempt tells whoever stands around it (:mod:`codex32.outside.traces.around`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import Token
from dataclasses import dataclass, field
from functools import lru_cache
from random import getrandbits
from types import TracebackType
from typing import Literal, NamedTuple, TypeAlias

from codex32.kernel.errors import StepFault
from codex32.kernel.ids import made_at
from codex32.kernel.subject import Subject, subject
from codex32.kernel.tracing import TraceContext, trace_of

Attribute: TypeAlias = str | int | float | bool
Kind: TypeAlias = Literal["internal", "server", "client", "consumer"]

#: Outcomes of attempts that are no trouble.
_NO_TROUBLE = frozenset({"succeeded", "skipped", "cancelled", "waiting", "released"})


@dataclass(slots=True)
class Span:
    """Something that took time. Times in nanoseconds since 1970.

    Attributes:
      parent: The id of the span it is a part of; None where the trace begins with it.
      attributes: What is told of it: ids, names, counts; no secrets, no texts of people.
      error: In a word, why it failed; None where it did not.
      common: More attributes, those that many spans share: they are written together, and once. No
        number among them stands for true or false.
      execution: The id of the execution that it is; told like an attribute.
    """

    context: TraceContext
    parent: str | None
    name: str
    kind: Kind = "internal"
    begun: int = 0
    ended: int = 0
    attributes: dict[str, Attribute] = field(default_factory=dict)
    error: str | None = None
    common: tuple[tuple[str, Attribute], ...] = ()
    execution: str | None = None


class Execution(NamedTuple):
    """An execution that is told of; ``asked`` is the trace context in its row."""

    workspace: str
    bot: str
    id: str
    asked: str | None


class Tracing:
    """Makes the spans of this process. From any thread.

    Args:
      keep: Takes spans that have ended; must be quick and must not raise.
      sample: The share of traces that begin here which are kept, from 0 to 1.
    """

    def __init__(self, keep: Callable[[Span], None], sample: float = 1.0) -> None:
        self._keep = keep
        self._limit = int(sample * 2**64)

    def begun(self, trace: str) -> TraceContext:
        """Before the first span of a trace; of one trace all processes say the same."""
        return _begun(trace, self._limit)

    def of(self, execution_id: str, asked: str | None) -> TraceContext:
        """The span of an execution.

        Args:
          execution_id: Its id, of which the span's is made.
          asked: The trace context in its row.
        """
        return _of(execution_id, asked, self._limit)

    def within(
        self, name: str, kind: Kind = "internal", attributes: dict[str, Attribute] | None = None
    ) -> Open:
        """A span around a ``with`` block, beneath the one around that; none outside of traces."""
        return Open(self._keep, subject.get().trace, name, kind, attributes)

    def beneath(
        self,
        asked: TraceContext | None,
        name: str,
        kind: Kind,
        attributes: dict[str, Attribute],
    ) -> Open:
        """The same beneath a span of somebody else's, or at the beginning of a trace."""
        above = asked or self.begun(f"{getrandbits(128):032x}")
        return Open(self._keep, above, name, kind, attributes)

    def attempt(
        self, execution: Execution, number: int, outcome: str, *, begun: int, ended: int
    ) -> None:
        """Tell of an attempt that has ended. Times in microseconds."""
        own = self.of(execution.id, execution.asked)
        if own.sampled:
            self._keep(
                Span(
                    own.attempt(number),
                    own.span,
                    f"attempt {number}",
                    "consumer",
                    begun * 1000,
                    ended * 1000,
                    {},
                    None if outcome in _NO_TROUBLE else outcome,
                    (
                        ("codex32.workspace", execution.workspace),
                        ("codex32.bot", execution.bot),
                        ("codex32.attempt", number),
                        ("codex32.outcome", outcome),
                    ),
                    execution.id,
                )
            )

    def execution(
        self, execution: Execution, status: str, cause: str | None, *, ended: int
    ) -> None:
        """Tell of an execution that has ended, ``ended`` in microseconds."""
        own = self.of(execution.id, execution.asked)
        if own.sampled:
            asked = TraceContext.parse(execution.asked)
            self._keep(
                Span(
                    own,
                    None if asked is None else asked.span,
                    f"execution {execution.bot}",
                    "internal",
                    made_at(execution.id) * 1000,
                    ended * 1000,
                    {},
                    cause or "failed" if status == "failed" else None,
                    (
                        ("codex32.workspace", execution.workspace),
                        ("codex32.bot", execution.bot),
                        ("codex32.status", status),
                    ),
                    execution.id,
                )
            )


class Open:
    """A span under way: what is done in its ``with`` block stands beneath it.

    Attributes:
      span: Where more can be told of it; also where nobody keeps it.
    """

    __slots__ = ("_keep", "_token", "_within", "span")

    def __init__(
        self,
        keep: Callable[[Span], None],
        above: TraceContext | None,
        name: str,
        kind: Kind,
        attributes: dict[str, Attribute] | None,
    ) -> None:
        self._keep, self._within = keep, above is not None
        self._token: Token[Subject] | None = None
        trace, parent, sampled = above or _NOWHERE
        context = TraceContext(trace, f"{getrandbits(64) | 1:016x}", sampled)
        self.span = Span(context, parent or None, name, kind, 0, 0, attributes or {})

    def __enter__(self) -> Span:
        """Begin it."""
        if self._within:
            workspace, bot, execution, request, _ = subject.get()
            beneath = Subject(workspace, bot, execution, request, self.span.context)
            self._token = subject.set(beneath)
            self.span.begun = time.time_ns()
        return self.span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        """End it; what was raised goes on."""
        if self._token is None:
            return
        subject.reset(self._token)
        span = self.span
        if not span.context.sampled:
            return
        span.ended = time.time_ns()
        # Of requests that are answered the status tells.
        if error is not None and span.error is None and span.kind != "server":
            span.error = error.fault_code if isinstance(error, StepFault) else type(error).__name__
        self._keep(span)


_NOWHERE = TraceContext("", "", sampled=False)


def _begun(trace: str, limit: int) -> TraceContext:
    return TraceContext(trace, "", int(trace[16:], 16) < limit)


@lru_cache(maxsize=1024)  # asked when an attempt begins, and when it ends
def _of(execution_id: str, asked: str | None, limit: int) -> TraceContext:
    own = trace_of(execution_id)
    trace, _, sampled = TraceContext.parse(asked) or _begun(own, limit)
    return TraceContext(trace, own[16:], sampled)
