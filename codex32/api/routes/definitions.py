"""Definitions of bots: making, replacing, patching and deleting them, and checking them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from codex32.api.bot_models import Definition, StoredOut, ValidatedOut
from codex32.api.conditions import etag, is_known, precondition
from codex32.api.definitions import YAML, MessageQuery, read_bot, read_bots, store_bot
from codex32.api.reading import Strict
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.errors import BotExists
from codex32.kernel.json_values import JSON
from codex32.kernel.models import BotRow, VersionRow
from codex32.runtime import Runtime
from codex32.services.bots import authoring, bots
from codex32.services.bots.written import API, Written


class FormatQuery(Strict):
    """As what a definition is wanted."""

    format: Literal["yaml", "json"] | None = Field(
        None, description="Default: what the header Accept prefers, else YAML."
    )


class ValidateQuery(Strict):
    """How faults are told."""

    file: Annotated[str, StringConstraints(max_length=255)] | None = Field(
        None, description="What they call the file."
    )


class DefinitionRoutes:
    """The routes that take and give definitions."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="POST",
                path="/bots",
                operation="bots.create",
                keyed=True,
                policy="bots.write",
                handler=self._create,
                summary="Make a bot of a definition, sent as YAML or JSON",
                query=MessageQuery,
                raw=True,
                response=StoredOut,
                status=201,
            ),
            Route(
                method="POST",
                path="/bots/validate",
                operation="bots.validate",
                policy="bots.read",
                handler=self._validate,
                summary="Check bots, sent as YAML or JSON; nothing is stored or executed",
                query=ValidateQuery,
                raw=True,
                response=ValidatedOut,
            ),
            Route(
                method="PUT",
                path="/bots/{name}",
                operation="bots.replace",
                policy="bots.write",
                handler=self._replace,
                summary="Replace its definition, or make it; with If-Match only what was seen",
                query=MessageQuery,
                raw=True,
                response=StoredOut,
                also={201: StoredOut},
            ),
            Route(
                method="DELETE",
                path="/bots/{name}",
                operation="bots.delete",
                policy="bots.write",
                handler=self._delete,
                summary="Delete it; its history stays",
                status=204,
            ),
            Route(
                method="GET",
                path="/bots/{name}/definition",
                operation="bots.definition",
                policy="bots.read",
                handler=self._definition,
                summary="Its live definition, as YAML or JSON; sent back it changes nothing",
                query=FormatQuery,
                response=Definition,
                content_type=YAML,
            ),
        ]

    async def _create(self, request: ApiRequest) -> ApiResponse:
        sent = await read_bot(request, self._runtime.reader)

        def given(tag: str | None) -> None:
            if tag is not None:
                raise BotExists(sent.bot.name)

        return await store_bot(self._runtime, request, sent, given)

    async def _replace(self, request: ApiRequest) -> ApiResponse:
        demanded = precondition(request.headers)
        sent = await read_bot(request, self._runtime.reader, request.path["name"])
        return await store_bot(self._runtime, request, sent, demanded)

    async def _validate(self, request: ApiRequest) -> JSON:
        _, reading = await read_bots(request, self._runtime.reader, file=request.query.file)
        registry, workspace = self._runtime.registry, request.caller.workspace
        found = []
        for bot in reading.bots:
            more = await self._runtime.door.read(registry.beyond, bot, workspace)
            digest = Written.of(bot, "", API).digest
            found.append({"name": bot.name, "digest": digest, "widens": more})
        problems = [
            {name: value for name, value in each.as_dict().items() if value}
            for each in reading.problems
        ]
        return {"valid": not problems, "bots": found, "problems": problems}

    async def _delete(self, request: ApiRequest) -> ApiResponse:
        caller, name = request.caller, request.path["name"]
        demanded, now = precondition(request.headers), self._runtime.clock.micros()

        def delete() -> None:
            bots.there(name, workspace=caller.workspace)
            bots.remove(
                name, now, origin=API, by=caller, workspace=caller.workspace, given=demanded
            )

        await self._runtime.door.write(delete)
        return ApiResponse(None, 204)

    async def _definition(self, request: ApiRequest) -> ApiResponse:
        kind = request.query.format or _preferred(request.headers.get("Accept", ""))
        name, workspace = request.path["name"], request.caller.workspace
        row, version = await self._runtime.door.read(_live, name, workspace)
        tag = bots.tag(row) or ""
        headers = {"ETag": etag(tag, kind), "Vary": "Accept"}
        if is_known(request.headers, tag, kind):
            return ApiResponse(None, 304, headers)
        if kind == "json":
            return ApiResponse(
                version.document.encode(), headers=headers, content_type="application/json"
            )
        text = await self._runtime.door.read(authoring.as_yaml, version, self._runtime.reader)
        return ApiResponse(text.encode(), headers=headers, content_type=YAML)


def _live(name: str, workspace: str) -> tuple[BotRow, VersionRow]:
    row = bots.there(name, workspace=workspace)
    version = bots.version_of(row.active_version_id)
    if version is None:
        raise bots.never_live(row)
    return row, version


def _preferred(accept: str) -> Literal["yaml", "json"]:
    """YAML, unless JSON alone is asked for, or asked for first."""
    for each in accept.split(","):
        kind = each.partition(";")[0].strip().lower()
        if kind == "application/json":
            return "json"
        if kind.endswith("yaml"):
            return "yaml"
    return "yaml"
