"""Connections: destinations by name; their secrets are named and never answered."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from codex32.api.models import Page
from codex32.api.reading import Strict
from codex32.api.safe_models import ConnectionOut
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.safe import connections

_Name = Annotated[str, StringConstraints(pattern=rf"^{connections.NAME.pattern}$")]


class ConnectionsQuery(Strict):
    """Which connections, by name."""

    cursor: _Name | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class ConnectionIn(Strict):
    """A connection; no part of it may be a secret's value."""

    type: str = Field(description="What kind of service is there: http, postgresql, smtp, …")
    host: str = Field(description="A name or an address, without scheme, user and path.")
    port: int | None = None
    options: dict[str, Any] = Field({}, description="What else the type needs.")
    secrets: dict[str, str] = Field(
        {}, description="What is secret (`password`) to the name of a secret of the workspace."
    )


class ConnectionRoutes:
    """The routes below ``/connections``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._clock = runtime.door, runtime.clock

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/connections",
                operation="connections.list",
                policy="connections.read",
                handler=self._list,
                summary="Connections by name, without the values of their secrets",
                query=ConnectionsQuery,
                response=Page[ConnectionOut],
            ),
            Route(
                method="GET",
                path="/connections/{name}",
                operation="connections.read",
                policy="connections.read",
                handler=self._read,
                summary="A connection",
                response=ConnectionOut,
            ),
            Route(
                method="PUT",
                path="/connections/{name}",
                operation="connections.write",
                policy="connections.write",
                handler=self._write,
                summary="Make a connection, or put another in its place",
                body=ConnectionIn,
                response=ConnectionOut,
                also={201: ConnectionOut},
            ),
            Route(
                method="DELETE",
                path="/connections/{name}",
                operation="connections.delete",
                policy="connections.write",
                handler=self._delete,
                summary="Delete a connection; steps that ask for it from now on fail",
                status=204,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        return await self._door.read(_page, request.query, request.caller.workspace)

    async def _read(self, request: ApiRequest) -> JSON:
        name, workspace = request.path["name"], request.caller.workspace
        row = await self._door.read(partial(connections.get, name, workspace=workspace))
        return connections.as_dict(row)

    async def _write(self, request: ApiRequest) -> ApiResponse:
        body, caller = request.body, request.caller
        wish = connections.Wish(body.type, body.host, body.port, body.options, body.secrets)
        name, now = request.path["name"], self._clock.micros()
        work = partial(connections.write, name, wish, caller, now, workspace=caller.workspace)
        row = await self._door.write(work)
        return ApiResponse(connections.as_dict(row), 201 if row.created_at == now else 200)

    async def _delete(self, request: ApiRequest) -> ApiResponse:
        name, caller, now = request.path["name"], request.caller, self._clock.micros()
        work = partial(connections.delete, name, caller, now, workspace=caller.workspace)
        await self._door.write(work)
        return ApiResponse(None, 204)


def _page(query: ConnectionsQuery, workspace: str) -> dict[str, JSON]:
    found = connections.listing(workspace=workspace, after=query.cursor, limit=query.limit + 1)
    shown = found[: query.limit]
    return {
        "items": [connections.as_dict(row) for row in shown],
        "next": shown[-1].name if len(found) > len(shown) else None,
    }
