"""What is being worked on: set where work begins, read where something is said of it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

from codex32.kernel.tracing import Place, TraceContext


class Subject(NamedTuple):
    """Empty where it is not known, or there is none.

    Attributes:
      request: The id under which a caller finds the request again.
      trace: The span of a trace that it is; None where nothing is traced.
    """

    workspace: str = ""
    bot: str = ""
    execution: str = ""
    request: str = ""
    trace: Place | None = None


_NOTHING = Subject()
#: Of the present task or thread; tasks that it starts inherit it.
subject: ContextVar[Subject] = ContextVar("subject", default=_NOTHING)


def asked_within() -> str | None:
    """The trace context for the row of what the present subject asks for."""
    trace = subject.get().trace
    return None if trace is None else str(TraceContext.of(trace))
