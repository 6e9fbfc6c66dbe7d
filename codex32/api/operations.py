"""A declared route at work: reads what was sent, calls the handler, writes what it answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel

from codex32.api.reading import Nothing, read_body, read_query
from codex32.kernel.caller import Caller
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.errors import PluginContractError
from codex32.kernel.json_values import JSON, dumps

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: What a variable of a path may hold; ids and names need no more, and no separator fits in.
VARIABLE = "[A-Za-z0-9_-]+"


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

    async def answer(self, request: web.Request, caller: Caller) -> web.Response:
        """Serve a request whose caller has been found to be allowed.

        Raises:
          Codex32Error: What the request, or the handler, has to object to.
        """
        route = self.route
        query = read_query(request, route.query or Nothing)
        body = None
        if route.method != "GET":
            body = await read_body(request, route.body or Nothing)
        asked = ApiRequest(request.match_info, query, body, caller, request.headers)
        return self._write(await route.handler(asked))

    def _write(self, result: ApiResponse | BaseModel | JSON) -> web.Response:
        if not isinstance(result, ApiResponse):
            result = ApiResponse(result, self.route.status)
        response = web.Response(status=result.status, headers=result.headers)
        if result.status != 204:
            response.body = _encoded(result.body)
            response.headers["Content-Type"] = "application/json"
        return response


def _encoded(body: BaseModel | JSON) -> bytes:
    if isinstance(body, BaseModel):
        return body.model_dump_json().encode()
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
            (not route.operation or route.operation in ids, "its operation id is not its own"),
            (place in places, "its method and path are taken"),
            (route.method == "GET" and route.body is not None, "GET has no body"),
        ):
            if wrong:
                name = f"the route {route.method} {operation.path} ({route.operation})"
                raise PluginContractError(f"{name}: {fault}", plugin=operation.plugin)
        ids.add(route.operation)
        places.add(place)
