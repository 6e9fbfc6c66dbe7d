"""The one guard before all routes: who calls, whether they may and how often."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_urldispatcher import AbstractRoute

from codex32.api import errors
from codex32.api.callers import Gatekeeper, require
from codex32.api.network import Origins, Peers
from codex32.api.operations import METHODS, Operation
from codex32.api.rates import Limiter, Standing, TooManyRequests
from codex32.api.streaming import Stopping
from codex32.kernel.caller import STRANGER, Caller
from codex32.kernel.contracts.route import PUBLIC
from codex32.kernel.errors import AccessDenied
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import dumps

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
    """

    limiter: Limiter = field(default_factory=lambda: Limiter({}))
    peers: Peers = field(default_factory=Peers)
    origins: Origins = field(default_factory=Origins)


class Guard:
    """Who may pass is decided by the route that was found, never by the text of its address.

    Args:
      operations: What is served, by the router's own routes.
      gatekeeper: Knows callers.
      keeping: What it goes by besides.
      stopping: What ends answers that go on.
    """

    def __init__(
        self,
        operations: Mapping[AbstractRoute, Operation],
        gatekeeper: Gatekeeper,
        keeping: Keeping,
        stopping: Stopping,
    ) -> None:
        self._operations, self._gatekeeper = operations, gatekeeper
        self._keeping, self._stopping = keeping, stopping

    def middleware(self) -> Middleware:
        """The guard as the application takes it."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._serve(request, handler)

        return guard

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = _request_id(request)
        headers = {**HEADERS, "X-Request-Id": request_id, **self._keeping.origins.headers(request)}
        if self._keeping.peers.is_secure(request):
            headers |= _ENCRYPTED
        response: web.StreamResponse
        try:
            response = await self._answer(request, handler, headers)
        except Exception as error:
            response = problem(error, request_id)
        if not response.prepared and "X-Request-Id" not in response.headers:
            for name, value in headers.items():
                response.headers.setdefault(name, value)
        return response

    async def _answer(
        self, request: web.Request, handler: Handler, headers: dict[str, str]
    ) -> web.StreamResponse:
        preflight = self._keeping.origins.preflight(request, METHODS)
        if preflight is not None:
            return preflight
        operation = self._operations.get(request.match_info.route)
        # A stranger is not even told which addresses exist.
        caller = await self._admit(request, operation)
        address = self._keeping.peers.address(request)
        caller = replace(caller, address=address, request_id=headers["X-Request-Id"])
        if operation is None:
            return await handler(request)
        standing = self._count(operation, caller)
        if standing is not None:
            headers |= standing.headers()
        again = partial(self._readmit, request, operation, caller)
        return await operation.answer(request, caller, headers, self._stopping, again)

    async def _admit(self, request: web.Request, operation: Operation | None) -> Caller:
        policy = operation.route.policy if operation is not None else None
        if policy == PUBLIC:
            return STRANGER
        try:
            caller = await self._gatekeeper.recognise(request.headers)
        except errors.Unauthorized:
            # Who tries tokens is no caller yet, and is counted by where they come from.
            self._keeping.limiter.take("normal", self._keeping.peers.address(request))
            raise
        if policy is not None:
            require(caller, policy)
        return caller

    async def _readmit(self, request: web.Request, operation: Operation, caller: Caller) -> None:
        """Whether an answer that goes on may go on: who was admitted may be somebody else now."""
        now = await self._admit(request, operation)
        if (now.id, now.workspace) != (caller.id, caller.workspace):
            raise AccessDenied(operation.route.policy)

    def _count(self, operation: Operation, caller: Caller) -> Standing | None:
        who = caller.address if caller.kind == STRANGER.kind else f"{caller.kind}:{caller.id}"
        return self._keeping.limiter.take(operation.route.rate, who)


def problem(error: Exception, request_id: str) -> web.Response:
    """The answer that tells of an error."""
    known, told = errors.told(error)
    headers = dict(told)
    if isinstance(error, TooManyRequests):
        headers |= error.standing.headers()
    return web.Response(
        status=errors.status_of(known),
        body=dumps(errors.document(known, request_id)).encode(),
        content_type="application/problem+json",
        headers=headers,
    )


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _SANE_ID.fullmatch(given) else f"{_PROCESS}-{next(_COUNT)}"
