"""Secrets: written and deleted; no route answers a value."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from codex32.api.conditions import etag, precondition
from codex32.api.models import Page
from codex32.api.reading import Strict
from codex32.api.safe_models import SecretOut
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.safe import secrets

_Name = Annotated[str, StringConstraints(pattern=rf"^{secrets.NAME.pattern}$")]


class SecretsQuery(Strict):
    """Which secrets, by name."""

    cursor: _Name | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class SecretIn(Strict):
    """A secret's value."""

    value: SecretStr = Field(description="1 to 65,536 bytes of UTF-8. It is never answered.")


class SecretRoutes:
    """The routes below ``/secrets``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._clock, self._vault = runtime.door, runtime.clock, runtime.vault

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/secrets",
                operation="secrets.list",
                policy="secrets.read",
                handler=self._list,
                summary="Secrets by name, without values",
                query=SecretsQuery,
                response=Page[SecretOut],
            ),
            Route(
                method="GET",
                path="/secrets/{name}",
                operation="secrets.read",
                policy="secrets.read",
                handler=self._read,
                summary="A secret without its value, and the bots that may use it",
                response=SecretOut,
            ),
            Route(
                method="PUT",
                path="/secrets/{name}",
                operation="secrets.write",
                policy="secrets.write",
                handler=self._write,
                summary="Give a secret its value, new or another",
                body=SecretIn,
                response=SecretOut,
                also={201: SecretOut},
            ),
            Route(
                method="DELETE",
                path="/secrets/{name}",
                operation="secrets.delete",
                policy="secrets.write",
                handler=self._delete,
                summary="Delete a secret; steps that ask for it from now on fail",
                status=204,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        query, workspace = request.query, request.caller.workspace
        limit = query.limit
        found = await self._door.read(
            partial(secrets.listing, workspace=workspace, after=query.cursor, limit=limit + 1)
        )
        shown = found[:limit]
        return {
            "items": [each.as_dict() for each in shown],
            "next": shown[-1].name if len(found) > limit else None,
        }

    async def _read(self, request: ApiRequest) -> ApiResponse:
        name, workspace = request.path["name"], request.caller.workspace
        found = await self._door.read(partial(secrets.get, name, workspace=workspace))
        return ApiResponse(found.as_dict(), headers={"ETag": etag(found.tag)})

    async def _write(self, request: ApiRequest) -> ApiResponse:
        work = partial(
            secrets.write,
            self._vault,
            request.path["name"],
            request.body.value.get_secret_value(),
            request.caller,
            self._clock.micros(),
            workspace=request.caller.workspace,
            given=precondition(request.headers),
        )
        written = await self._door.write(work)
        status = 201 if written.version == 1 else 200
        return ApiResponse(written.as_dict(), status, {"ETag": etag(written.tag)})

    async def _delete(self, request: ApiRequest) -> ApiResponse:
        name, caller = request.path["name"], request.caller
        demanded, now = precondition(request.headers), self._clock.micros()
        await self._door.write(
            partial(secrets.delete, name, caller, now, workspace=caller.workspace, given=demanded)
        )
        return ApiResponse(None, 204)
