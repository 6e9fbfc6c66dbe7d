"""Spans: who makes them, beneath which, and which of them anybody keeps.

Of executions and attempts is told after the commit that ended them; of what happens within an
attempt tells whoever stands around it (:mod:`codex32.outside.traces.around`). Both leave no more
than what happened: ids are worked out, and spans made, by whoever sends them, so that what is
traced hardly waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import Token
from functools import lru_cache
from random import getrandbits
from types import TracebackType
from typing import NamedTuple, Protocol

from codex32.kernel.errors import StepFault
from codex32.kernel.ids import made_at
from codex32.kernel.subject import Subject, subject
from codex32.kernel.tracing import Ids, Place, TraceContext, span_of, trace_of
from codex32.outside.traces.otlp import Attribute, Doing, encoded

#: Outcomes of attempts that are no trouble.
_NO_TROUBLE = frozenset({"succeeded", "skipped", "cancelled", "waiting", "released"})
#: Beyond what the second half of a trace's id can be.
_ALL = 2**64


class Told(Protocol):
    """What has ended and is kept, before it is put into its form."""

    @property
    def spans(self) -> int:
        """How many spans tell of it."""

    def encoded(self) -> Sequence[bytes]:
        """Each of them, as it is sent."""


class Ended(NamedTuple):
    """An attempt that has ended, or an execution, or both at once. Times in microseconds.

    Attributes:
      asked: The trace context in the row of the execution.
      number: Of the attempt; 0 where none ended.
      outcome: Of the attempt, which began at ``begun``.
      status: The final one of the execution; None where it did not end.
      at: When it ended, or both did.
    """

    workspace: str
    bot: str
    execution: str
    asked: str | None
    number: int
    outcome: str
    begun: int
    status: str | None
    cause: str | None
    at: int

    @property
    def spans(self) -> int:
        """How many spans tell of it."""
        return (self.number > 0) + (self.status is not None)

    def encoded(self) -> Sequence[bytes]:
        """Each of them, as it is sent."""
        workspace, bot, execution, asked, number, outcome, begun, status, cause, at = self
        own = trace_of(execution)
        trace, parent = _above(own, asked)
        span, id_, told = span_of(own), execution.encode(), []
        if number:
            about = _attempt(workspace, bot, number, outcome)
            ids = trace, span_of(own, number)
            told.append(encoded(about, ids, span, (begun * 1000, at * 1000), None, id_))
        if status is not None:
            about = _execution(workspace, bot, status, cause)
            times = made_at(execution) * 1000, at * 1000
            told.append(encoded(about, (trace, span), parent, times, None, id_))
        return told


class Tracing:
    """Makes the spans of this process. From any thread.

    Args:
      keep: Takes what has ended; must be quick and must not raise.
      sample: The share of traces that begin here which are kept, from 0 to 1.
    """

    def __init__(self, keep: Callable[[Told], None], sample: float = 1.0) -> None:
        self._keep = keep
        self._limit = int(sample * _ALL)

    def begun(self, trace: bytes) -> TraceContext:
        """Before the first span of a trace; of one trace all processes say the same."""
        return TraceContext(trace.hex(), "", int.from_bytes(trace[8:]) < self._limit)

    def of(self, execution_id: str, asked: str | None) -> TraceContext:
        """The span of an execution.

        Args:
          execution_id: Its id, of which the span's is made.
          asked: The trace context in its row.
        """
        own = trace_of(execution_id)
        trace, _, sampled = TraceContext.parse(asked) or self.begun(own)
        return TraceContext(trace, span_of(own).hex(), sampled)

    def of_attempt(self, execution_id: str, asked: str | None, number: int) -> Place:
        """The span of an attempt at an execution."""
        return _OfAttempt(execution_id, asked, number, self._keeps(execution_id, asked))

    def within(self, about: Doing, attributes: dict[str, Attribute] | None = None) -> Open:
        """A span around a ``with`` block, beneath the one around that; none outside of traces."""
        return Open(self._keep, subject.get().trace, about, attributes)

    def beneath(
        self, asked: TraceContext | None, about: Doing, attributes: dict[str, Attribute]
    ) -> Open:
        """The same beneath a span of somebody else's, or at the beginning of a trace."""
        return Open(
            self._keep, asked or self.begun(getrandbits(128).to_bytes(16)), about, attributes
        )

    def ended(self, told: Ended) -> None:
        """Tell of an execution, after the commit that ended it or an attempt at it."""
        if self._keeps(told.execution, told.asked):
            self._keep(told)

    def _keeps(self, execution_id: str, asked: str | None) -> bool:
        if asked is None and self._limit == _ALL:
            return True  # nobody has to look at its id
        return self.of(execution_id, asked).sampled


class _OfAttempt:
    """Where an attempt stands in a trace."""

    __slots__ = ("_asked", "_execution_id", "_number", "sampled")

    def __init__(self, execution_id: str, asked: str | None, number: int, sampled: bool) -> None:
        self._execution_id, self._asked, self._number = execution_id, asked, number
        self.sampled = sampled

    def ids(self) -> Ids:
        """The trace, and its span in it."""
        own = trace_of(self._execution_id)
        return _above(own, self._asked)[0], span_of(own, self._number)


class Open:
    """A span under way: what is done in its ``with`` block stands beneath it.

    Attributes:
      attributes: Where more can be told of it; also where nobody keeps it.
      error: As :class:`Doing` has it.
      sampled: Whether anybody keeps it.
    """

    __slots__ = (
        "_about", "_above", "_begun", "_ended", "_id", "_keep", "_token",
        "attributes", "error", "sampled",
    )  # fmt: skip

    #: Of what is :class:`Told`.
    spans = 1

    def __init__(
        self,
        keep: Callable[[Told], None],
        above: Place | None,
        about: Doing,
        attributes: dict[str, Attribute] | None,
    ) -> None:
        self._keep, self._above, self._about = keep, above, about
        self._token: Token[Subject] | None = None
        self.attributes = {} if attributes is None else attributes
        self.error: str | None = None

    def ids(self) -> Ids:
        """Of what is a :class:`Place`, once it has begun within a trace."""
        assert self._above is not None
        return self._above.ids()[0], self._id.to_bytes(8)

    def __enter__(self) -> Open:
        """Begin it."""
        if self._above is not None:
            self.sampled = self._above.sampled
            self._id = getrandbits(64) | 1
            workspace, bot, execution, request, _ = subject.get()
            self._token = subject.set(Subject(workspace, bot, execution, request, self))
            self._begun = time.time_ns()
        return self

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
        self._token = None  # it holds whatever else is in the context, while the span waits
        if not self.sampled:
            return
        self._ended = time.time_ns()
        # Of requests that are answered the status tells.
        if error is not None and self.error is None and self._about.kind != "server":
            self.error = _word(error)
        self._keep(self)

    def encoded(self) -> Sequence[bytes]:
        """As it is sent, once it has ended."""
        assert self._above is not None
        about = self._about if self.error is None else self._about.failed(self.error)
        trace, above = self._above.ids()
        ids, times = (trace, self._id.to_bytes(8)), (self._begun, self._ended)
        return (encoded(about, ids, above, times, self.attributes),)


def _above(own: bytes, asked: str | None) -> Ids:
    """The trace that an execution is a part of, and the span it stands beneath; empty for none."""
    above = TraceContext.parse(asked)
    return (own, b"") if above is None else above.ids()


def _word(error: BaseException) -> str:
    """Of what a time limit or somebody stops the execution tells why."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return error.fault_code if isinstance(error, StepFault) else type(error).__name__


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
