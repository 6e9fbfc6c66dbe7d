"""The one guard before all routes: who calls, whether they may and how often."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_urldispatcher import AbstractRoute
from multidict import CIMultiDict, CIMultiDictProxy, istr

from codex32.api import errors
from codex32.api.callers import Gatekeeper, counted_as, require
from codex32.api.network import Origins, Peers, source_of
from codex32.api.operations import METHODS, Operation
from codex32.api.rates import Limiter, Standing, TooManyRequests
from codex32.api.sockets import SocketsFull
from codex32.api.spans import spanned
from codex32.api.streaming import Streams
from codex32.kernel.caller import STRANGER, Caller
from codex32.kernel.contracts.route import PUBLIC
from codex32.kernel.errors import AccessDenied, Codex32Error
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import dumps
from codex32.kernel.subject import Subject, subject
from codex32.outside.traces.spans import Tracing

#: Nothing the API answers is for a browser to show, to keep, to run, or to lend to other sites.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "codex32",
    "X-Content-Type-Options": "nosniff",
}
_ENCRYPTED = {"Strict-Transport-Security": "max-age=31536000"}
#: Copied for each answer, which costs less than to fold the case of every name anew.
_HEADERS = CIMultiDict({istr(name): value for name, value in HEADERS.items()})
_REQUEST_ID = istr("X-Request-Id")

#: A proxy before us may go by the one of two, and we by the other.
_ONCE = ("Authorization", "Idempotency-Key", "X-Workspace")
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
#: Requests are counted under one random name a process, which is cheaper than a random id each.
_PROCESS, _COUNT = new_id("req"), itertools.count(1)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the guard goes by, beside who calls.

    Attributes:
      limiter: How often which caller may call.
      peers: Tells where requests come from.
      origins: The pages of other sites that may call.
      tracing: Makes spans of requests; None where nobody is told of them.
      streams: Answers that go on, at a time.
    """

    limiter: Limiter = field(default_factory=lambda: Limiter({}))
    peers: Peers = field(default_factory=Peers)
    origins: Origins = field(default_factory=Origins)
    tracing: Tracing | None = None
    streams: int = 1000


class Guard:
    """Who may pass is decided by the route that was found, never by the text of its address.

    Args:
      operations: What is served, by the router's own routes.
      gatekeeper: Knows callers.
      keeping: What it goes by besides.
      streams: Where answers that go on have their places.
    """

    def __init__(
        self,
        operations: Mapping[AbstractRoute, Operation],
        gatekeeper: Gatekeeper,
        keeping: Keeping,
        streams: Streams,
    ) -> None:
        self._operations, self._gatekeeper = operations, gatekeeper
        self._keeping, self._streams = keeping, streams

    @web.middleware
    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The guard as the application takes it: a middleware before all handlers."""
        request_id = _request_id(request)
        subject.set(Subject(request=request_id))
        headers = _HEADERS.copy()
        headers[_REQUEST_ID] = request_id
        headers.update(self._keeping.origins.headers(request))
        if self._keeping.peers.is_secure(request):
            headers.update(_ENCRYPTED)
        response: web.StreamResponse
        try:
            response = await self._answer(request, handler, headers)
        except Exception as error:
            operation = self._operations.get(request.match_info.route)
            refused = operation and operation.refused(error, request)
            response = refused or problem(error, request_id)
        if not response.prepared and _REQUEST_ID not in response.headers:
            for name, value in headers.items():
                response.headers.setdefault(name, value)
        return response

    async def _answer(
        self, request: web.Request, handler: Handler, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        preflight = self._keeping.origins.preflight(request, METHODS)
        if preflight is not None:
            return preflight
        operation = self._operations.get(request.match_info.route)
        # A stranger is not even told which addresses exist.
        known = await self._recognise(request, operation)
        caller = known.asking(self._keeping.peers.address(request), headers[_REQUEST_ID])
        subject.set(Subject(workspace=caller.workspace, request=caller.request_id))
        # What is refused counts like what is done.
        standing = self._count(operation, caller)
        if standing is not None:
            headers.update(standing.headers())
        if operation is None:
            return await handler(request)
        _require(caller, operation)
        again = partial(self._readmit, request, operation, caller)
        answer = operation.answer(request, caller, headers, self._streams, again)
        if self._keeping.tracing is None:
            return await answer
        return await spanned(self._keeping.tracing, request, operation, caller, answer)

    async def _recognise(self, request: web.Request, operation: Operation | None) -> Caller:
        try:
            _require_once(request.headers)
            if operation is not None and operation.route.policy == PUBLIC:
                return STRANGER
            return await self._gatekeeper.recognise(request.headers)
        except Codex32Error:
            # Who tries tokens is no caller yet, and is counted by where they come from.
            address = self._keeping.peers.address(request)
            self._keeping.limiter.take("normal", source_of(address))
            raise

    async def _readmit(self, request: web.Request, operation: Operation, caller: Caller) -> None:
        """Whether an answer that goes on may go on: who was admitted may be somebody else now."""
        now = await self._recognise(request, operation)
        _require(now, operation)
        if (now.id, now.workspace) != (caller.id, caller.workspace):
            raise AccessDenied(operation.route.policy)

    def _count(self, operation: Operation | None, caller: Caller) -> Standing | None:
        rate = "normal" if operation is None else operation.route.rate
        return self._keeping.limiter.take(rate, counted_as(caller))

    def refuse(self, error: Exception, address: str) -> web.Response:
        """The answer to what is no request, or none that routes are looked up for."""
        request_id = _new_id()
        # Who comes no further than the door asks for nothing.
        if not isinstance(error, SocketsFull):
            try:
                self._keeping.limiter.take("normal", source_of(address))
            except TooManyRequests as too_many:
                error = too_many
        response = problem(error, request_id)
        response.headers.update({**HEADERS, "X-Request-Id": request_id})
        return response


def _require(caller: Caller, operation: Operation) -> None:
    if operation.route.policy != PUBLIC:
        require(caller, operation.route.policy)


def _require_once(headers: CIMultiDictProxy[str]) -> None:
    """Refuse a request that says two things about who sends it, or of what.

    Raises:
      RequestMalformed: Names the header.
    """
    for name in _ONCE:
        if len(headers.getall(name, ())) > 1:
            raise errors.RequestMalformed(f"the header {name} stands in the request twice")


def problem(error: Exception, request_id: str) -> web.Response:
    """The answer that tells of an error."""
    known, told = errors.told(error)
    return web.Response(
        status=errors.status_of(known),
        body=dumps(errors.document(known, request_id)).encode(),
        content_type="application/problem+json",
        headers=told,
    )


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _SANE_ID.fullmatch(given) else _new_id()


def _new_id() -> str:
    return f"{_PROCESS}-{next(_COUNT)}"
