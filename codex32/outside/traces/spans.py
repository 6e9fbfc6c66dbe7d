"""Spans: who makes them, beneath which, and which of them anybody keeps.

Of executions and attempts the events tell, after the commit that ended them; what happens within
an attempt is told by whoever stands around it (:mod:`codex32.outside.traces.around`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from dataclasses import dataclass, field
from random import getrandbits
from types import TracebackType
from typing import Literal, TypeAlias

from codex32.kernel.clock import to_micros
from codex32.kernel.errors import StepFault
from codex32.kernel.events import AttemptFinished, ExecutionEvent, ExecutionFinished
from codex32.kernel.ids import made_at
from codex32.kernel.notices import Notice, events_in
from codex32.kernel.subject import Subject, subject
from codex32.kernel.tracing import TraceContext, trace_of

Attribute: TypeAlias = str | int | float | bool
Kind: TypeAlias = Literal["internal", "server", "client", "consumer"]

#: Outcomes of attempts that are no end of an execution, and no trouble.
_GOES_ON = frozenset({"waiting", "released"})


@dataclass(slots=True)
class Span:
    """Something that took time. Times in nanoseconds since 1970.

    Attributes:
      parent: The id of the span it is a part of; None where the trace begins with it.
      attributes: What is told of it: ids, names, counts; no secrets, no texts of people.
      error: In a word, why it failed; None where it did not.
    """

    context: TraceContext
    parent: str | None
    name: str
    kind: Kind = "internal"
    begun: int = 0
    ended: int = 0
    attributes: dict[str, Attribute] = field(default_factory=dict)
    error: str | None = None


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
        return TraceContext(trace, "", sampled=int(trace[16:], 16) < self._limit)

    def of(self, execution_id: str, asked: str | None) -> TraceContext:
        """The span of an execution.

        Args:
          execution_id: Its id, of which the span's is made.
          asked: The trace context in its row.
        """
        above = TraceContext.parse(asked) or self.begun(trace_of(execution_id))
        return above.at(execution_id)

    def within(
        self, name: str, kind: Kind = "internal", attributes: Mapping[str, Attribute] | None = None
    ) -> Open:
        """A span around a ``with`` block, beneath the one around that; none outside of traces."""
        return Open(self._keep, subject.get().trace, name, kind, attributes)

    def beneath(
        self,
        asked: TraceContext | None,
        name: str,
        kind: Kind,
        attributes: Mapping[str, Attribute],
    ) -> Open:
        """The same beneath a span of somebody else's, or at the beginning of a trace."""
        above = asked or self.begun(f"{getrandbits(128):032x}")
        return Open(self._keep, above, name, kind, attributes)

    def take_note(self, notices: Sequence[Notice]) -> None:
        """Tell of attempts and executions that have ended."""
        for event in events_in(notices):
            if isinstance(event, AttemptFinished | ExecutionFinished):
                self._tell(event)

    def _tell(self, event: AttemptFinished | ExecutionFinished) -> None:
        own = self.of(event.execution_id, event.traceparent)
        if own.sampled and isinstance(event, AttemptFinished):
            self._keep(_attempt(event, own))
        elif own.sampled and isinstance(event, ExecutionFinished):
            self._keep(_execution(event, own))


class Open:
    """A span under way: what is done in its ``with`` block stands beneath it.

    Attributes:
      span: Where more can be told of it; also where nobody keeps it.
    """

    __slots__ = ("_above", "_keep", "_token", "span")

    def __init__(
        self,
        keep: Callable[[Span], None],
        above: TraceContext | None,
        name: str,
        kind: Kind,
        attributes: Mapping[str, Attribute] | None,
    ) -> None:
        self._keep, self._above = keep, above
        self._token: Token[Subject] | None = None
        context = (above or _NOWHERE)._replace(span=f"{getrandbits(64) | 1:016x}")
        parent = above.span or None if above is not None else None
        self.span = Span(context, parent, name, kind, attributes=dict(attributes or {}))

    def __enter__(self) -> Span:
        """Begin it."""
        if self._above is not None:
            self._token = subject.set(subject.get()._replace(trace=self.span.context))
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


def _execution(event: ExecutionFinished, own: TraceContext) -> Span:
    asked = TraceContext.parse(event.traceparent)
    attributes = {**_about(event), "codex32.status": event.status}
    failed = event.status == "failed"
    return Span(
        own,
        None if asked is None else asked.span,
        f"execution {event.bot}",
        begun=made_at(event.execution_id) * 1000,
        ended=to_micros(event.at) * 1000,
        attributes=attributes,
        error=event.cause or "failed" if failed else None,
    )


def _attempt(event: AttemptFinished, own: TraceContext) -> Span:
    ended = to_micros(event.at) * 1000
    well = event.outcome in _GOES_ON | {"succeeded", "skipped", "cancelled"}
    return Span(
        own.at(event.execution_id, event.attempt),
        own.span,
        f"attempt {event.attempt}",
        "consumer",
        ended - int(event.duration_seconds * 1e9),
        ended,
        {
            **_about(event),
            "codex32.attempt": event.attempt,
            "codex32.outcome": event.outcome,
        },
        None if well else event.outcome,
    )


def _about(event: ExecutionEvent) -> dict[str, Attribute]:
    return {
        "codex32.workspace": event.workspace,
        "codex32.bot": event.bot,
        "codex32.execution.id": event.execution_id,
    }
