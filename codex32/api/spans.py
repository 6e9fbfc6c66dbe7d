"""A span of each request; beneath the caller's own, where the caller is known and says so."""

from __future__ import annotations

from collections.abc import Awaitable

from aiohttp import web

from codex32.api import errors
from codex32.api.operations import Operation
from codex32.kernel.caller import STRANGER, Caller
from codex32.kernel.errors import Codex32Error
from codex32.kernel.subject import subject
from codex32.kernel.tracing import TraceContext
from codex32.outside.traces.otlp import Attribute, doing
from codex32.outside.traces.spans import Tracing

#: Families of operations that are asked every few seconds, by machines.
_SILENT = frozenset({"health", "metrics"})


async def spanned(
    tracing: Tracing,
    request: web.Request,
    operation: Operation,
    caller: Caller,
    answer: Awaitable[web.StreamResponse],
) -> web.StreamResponse:
    """Await ``answer``, and tell of it."""
    if operation.route.operation.partition(".")[0] in _SILENT:
        return await answer
    asked = None
    if caller.kind != STRANGER.kind:  # else anybody could fill others' traces, or have them kept
        asked = TraceContext.parse(request.headers.get("traceparent"))
    about: dict[str, Attribute] = {
        "http.request.method": request.method,
        "http.route": operation.path,
        "codex32.operation": operation.route.operation,
        "codex32.request.id": caller.request_id,
        "codex32.workspace": caller.workspace,
    }
    refused: Exception | None = None
    kind = doing(f"{request.method} {operation.path}", "server")
    with tracing.beneath(asked, kind, about) as span:
        try:
            response = await answer
        except Exception as error:
            refused, status = error, _status(error)
        else:
            status = response.status
        span.attributes["http.response.status_code"] = status
        span.error = str(status) if status >= 500 else None
    if refused is None:
        return response
    # What is logged of it belongs to it.
    subject.set(subject.get()._replace(trace=span))
    raise refused


def _status(error: Exception) -> int:
    if isinstance(error, web.HTTPException):
        return error.status
    return errors.status_of(error) if isinstance(error, Codex32Error) else 500
