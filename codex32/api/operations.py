"""A declared route at work: reads what was sent, calls the handler, writes what it answered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from aiohttp import web
from multidict import CIMultiDict, istr
from pydantic import BaseModel

from codex32.api.reading import Nothing, read_body, read_bytes, read_form, read_query
from codex32.api.streaming import CONTENT_TYPE as EVENTS_TYPE
from codex32.api.streaming import Admit, Streams, send_stream
from codex32.kernel.caller import Caller
from codex32.kernel.contracts.route import (
    PUBLIC,
    ApiRequest,
    ApiResponse,
    EventStream,
    RateClass,
    Route,
)
from codex32.kernel.errors import Codex32Error, PluginContractError
from codex32.kernel.json_values import JSON, dumps

RATES = get_args(RateClass)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CONTENT_TYPE = istr("Content-Type")
#: Answers from this size on are packed.
PACKED_BYTES = 2048
_TAKES_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)
#: What a variable of a path may hold; ids and names need no more, and no separator fits in. What
#: begins with a dot could be another folder; usernames have dots inside.
VARIABLE = "[A-Za-z0-9_-][A-Za-z0-9._-]*"


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """A route and the prefix it is mounted at.

    Attributes:
      plugin: Who declared it.
    """

    route: Route
    prefix: str
    plugin: str

    @property
    def path(self) -> str:
        """The whole path, with ``{variables}``."""
        return self.prefix + self.route.path

    @property
    def id(self) -> str:
        """Its id in the document; that of a later version tells the version."""
        version = self.prefix.partition("/api/")[2].partition("/")[0]
        return f"{version}.{self.route.operation}" if version > "v1" else self.route.operation

    @property
    def methods(self) -> tuple[str, ...]:
        """What the router knows it by; what can be read can be asked for without its body."""
        route = self.route
        reads = route.method == "GET" and route.content_type != EVENTS_TYPE and not route.raw
        return ("GET", "HEAD") if reads else (route.method,)

    async def answer(
        self,
        request: web.Request,
        caller: Caller,
        headers: CIMultiDict[str],
        streams: Streams,
        admit: Admit,
    ) -> web.StreamResponse:
        """Serve a request whose caller has been found to be allowed.

        Args:
          request: As it came.
          caller: Who may do this.
          headers: Of every answer, which has them from here on; one that goes on is sent with
            them at once.
          streams: Where an answer that goes on has its place.
          admit: Asked while it goes on whether it still may.

        Raises:
          Codex32Error: What the request, or the handler, has to object to.
        """
        result = await self.route.handler(await self._asked(request, caller))
        if not isinstance(result, ApiResponse):
            result = ApiResponse(result, self.route.status)
        if isinstance(result.body, EventStream):
            told = {**headers, **result.headers}
            with streams.place(caller):
                return await send_stream(request, result.body, told, streams, admit)
        return self._written(result, request, headers)

    def refused(self, error: Exception, request: web.Request) -> web.Response | None:
        """The answer to an error as another standard writes it; None leaves it to the house."""
        if self.route.refusal is None or not isinstance(error, Codex32Error):
            return None
        refusal = self.route.refusal(error)
        return None if refusal is None else self._written(refusal, request, CIMultiDict())

    async def _asked(self, request: web.Request, caller: Caller) -> ApiRequest:
        route = self.route
        query: Any
        if route.raw and route.query is None:
            query = dict(request.query)
        else:
            query = read_query(request, route.query or Nothing)
        body: Any = None
        if route.raw:
            body = await read_bytes(request, route.max_bytes)
        elif route.form is not None:
            body = await read_form(request, route.form, route.max_bytes)
        elif route.method != "GET":
            body = await read_body(request, route.body or Nothing, route.max_bytes)
        content_type = request.content_type if "Content-Type" in request.headers else ""
        return ApiRequest(request.match_info, query, body, caller, request.headers, content_type)

    def _written(
        self, result: ApiResponse, request: web.Request, told: CIMultiDict[str]
    ) -> web.Response:
        if result.status in (204, 304):
            told.update(result.headers)
            return web.Response(status=result.status, headers=told)
        body = _encoded(result.body)
        told.update(result.headers)
        told[_CONTENT_TYPE] = result.content_type or self.route.content_type
        response = web.Response(status=result.status, headers=told, body=body)
        if len(body) >= PACKED_BYTES:
            _pack(response, request)
        return response


def _pack(response: web.Response, request: web.Request) -> None:
    """Send less, to whoever says that it can unpack."""
    told = response.headers.get("Vary")
    response.headers["Vary"] = "Accept-Encoding" if told is None else f"{told}, Accept-Encoding"
    if _TAKES_GZIP.search(request.headers.get("Accept-Encoding", "")):
        response.enable_compression(web.ContentCoding.gzip)


def _encoded(body: BaseModel | JSON | bytes) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, BaseModel):
        return body.model_dump_json(by_alias=True).encode()
    return dumps(body).encode()


def check_operations(operations: Iterable[Operation]) -> None:
    """Refuse declarations that leave something open.

    Raises:
      PluginContractError: A route has no policy, or clashes with another.
    """
    ids: set[str] = set()
    places: set[tuple[str, str]] = set()
    for operation in operations:
        route, place = operation.route, (operation.route.method, operation.path)
        for wrong, fault in (
            (not route.policy, "it has no policy; name a permission, or PUBLIC"),
            (route.method not in METHODS, f"its method is none of {', '.join(METHODS)}"),
            (not route.path.startswith("/"), "its path does not begin with a slash"),
            (not route.operation or operation.id in ids, "its operation id is not its own"),
            (place in places, "its method and path are taken"),
            (route.method == "GET" and (route.body or route.form), "GET has no body"),
            (
                sum(map(bool, (route.body, route.form, route.raw))) > 1,
                "its body is one of `body`, `form` and `raw`",
            ),
            (
                route.keyed and (route.policy == PUBLIC or route.method != "POST"),
                "keys belong to callers, and are for POST",
            ),
            (route.rate not in RATES, f"its rate is none of {', '.join(RATES)}"),
        ):
            if wrong:
                name = f"the route {route.method} {operation.path} ({route.operation})"
                raise PluginContractError(f"{name}: {fault}", plugin=operation.plugin)
        ids.add(operation.id)
        places.add(place)
