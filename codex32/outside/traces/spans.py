"""Spans: who makes them, beneath which, and which of them anybody keeps.

Of executions and attempts is told after the commit that ended them; of what happens within an
attempt tells whoever stands around it (:mod:`codex32.outside.traces.around`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import Token
from dataclasses import dataclass
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


#: The one of its kind, by which all that tell of it find its form.
doing = lru_cache(maxsize=4096)(Doing)


@dataclass(slots=True)
class Span:
    """Something that took time. Times in nanoseconds since 1970.

    Attributes:
      parent: The id of the span it is a part of; None where the trace begins with it.
      doing: As :func:`doing` gives it.
      attributes: What else is told of it: ids, names, counts; no secrets, no texts of people.
      execution: The id of the execution that it is; told like an attribute.
    """

    context: TraceContext
    parent: str | None
    doing: Doing
    begun: int
    ended: int
    attributes: dict[str, Attribute] | None = None
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
            about = _attempt(execution.workspace, execution.bot, number, outcome)
            at = begun * 1000, ended * 1000
            self._keep(Span(own.attempt(number), own.span, about, *at, None, execution.id))

    def execution(
        self, execution: Execution, status: str, cause: str | None, *, ended: int
    ) -> None:
        """Tell of an execution that has ended, ``ended`` in microseconds."""
        own = self.of(execution.id, execution.asked)
        if own.sampled:
            about = _execution(execution.workspace, execution.bot, status, cause)
            asked = TraceContext.parse(execution.asked)
            above = None if asked is None else asked.span
            at = made_at(execution.id) * 1000, ended * 1000
            self._keep(Span(own, above, about, *at, None, execution.id))


class Open:
    """A span under way: what is done in its ``with`` block stands beneath it.

    Attributes:
      context: Of it, once it has begun within a trace.
      attributes: Where more can be told of it; also where nobody keeps it.
      common: More attributes, as :class:`Doing` has them.
      error: As :class:`Doing` has it.
    """

    __slots__ = (
        "_above", "_begun", "_keep", "_kind", "_name", "_token",
        "attributes", "common", "context", "error",
    )  # fmt: skip

    def __init__(
        self,
        keep: Callable[[Span], None],
        above: TraceContext | None,
        name: str,
        kind: Kind,
        attributes: dict[str, Attribute] | None,
    ) -> None:
        self._keep, self._above, self._name, self._kind = keep, above, name, kind
        self._token: Token[Subject] | None = None
        self.attributes = {} if attributes is None else attributes
        self.common: tuple[tuple[str, Attribute], ...] = ()
        self.error: str | None = None

    def __enter__(self) -> Open:
        """Begin it."""
        if self._above is not None:
            trace, _, sampled = self._above
            self.context = TraceContext(trace, f"{getrandbits(64) | 1:016x}", sampled)
            workspace, bot, execution, request, _ = subject.get()
            self._token = subject.set(Subject(workspace, bot, execution, request, self.context))
            self._begun = time.time_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        """End it; what was raised goes on."""
        if self._token is None or self._above is None:
            return
        subject.reset(self._token)
        if not self.context.sampled:
            return
        ended = time.time_ns()
        # Of requests that are answered the status tells.
        if error is not None and self.error is None and self._kind != "server":
            self.error = error.fault_code if isinstance(error, StepFault) else type(error).__name__
        about = doing(self._name, self._kind, self.error, self.common)
        above = self._above.span or None
        self._keep(Span(self.context, above, about, self._begun, ended, self.attributes))


@lru_cache(maxsize=4096)
def _attempt(workspace: str, bot: str, number: int, outcome: str) -> Doing:
    common = (
        ("codex32.workspace", workspace),
        ("codex32.bot", bot),
        ("codex32.attempt", number),
        ("codex32.outcome", outcome),
    )
    error = None if outcome in _NO_TROUBLE else outcome
    return Doing(f"attempt {number}", "consumer", error, common)


@lru_cache(maxsize=4096)
def _execution(workspace: str, bot: str, status: str, cause: str | None) -> Doing:
    common = (
        ("codex32.workspace", workspace),
        ("codex32.bot", bot),
        ("codex32.status", status),
    )
    error = cause or "failed" if status == "failed" else None
    return Doing(f"execution {bot}", "internal", error, common)


def _begun(trace: str, limit: int) -> TraceContext:
    return TraceContext(trace, "", int(trace[16:], 16) < limit)


@lru_cache(maxsize=1024)  # asked when an attempt begins, and when it ends
def _of(execution_id: str, asked: str | None, limit: int) -> TraceContext:
    own = trace_of(execution_id)
    trace, _, sampled = TraceContext.parse(asked) or _begun(own, limit)
    return TraceContext(trace, own[16:], sampled)
