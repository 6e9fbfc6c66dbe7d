"""Definitions of bots: making, replacing, patching and deleting them, and checking them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel, StringConstraints

from codex32.api.bot_models import StoredOut, ValidatedOut
from codex32.api.conditions import etag, is_known, precondition
from codex32.api.definitions import YAML, Sent, check_bot, read_bot, read_bots
from codex32.api.errors import MediaTypeUnsupported, PreconditionFailed, RequestInvalid
from codex32.api.reading import Strict, parse_json
from codex32.engine.schema import bot_schema
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.errors import BotExists, BotReadOnly
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import BotRow, VersionRow
from codex32.kernel.problems import Problem
from codex32.runtime import Runtime
from codex32.services import authoring, bots
from codex32.services.bots import Precondition
from codex32.services.written import API, FILE, Stored, Written

#: How often a patch is made anew because somebody else was quicker.
_TRIES = 5
_PATCHES = frozenset({"application/merge-patch+json", "application/json"})


class MessageQuery(Strict):
    """What is said about a change."""

    message: Annotated[str, StringConstraints(max_length=500)] = Field(
        "", description="Kept with the version."
    )


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


class SchemaOut(RootModel[dict[str, Any]]):
    """A JSON Schema."""


class _Overtaken(Exception):
    """Somebody else changed the bot between reading and writing."""


class DefinitionRoutes:
    """The routes that take and give definitions."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._schema: dict[str, JSON] = {}

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="POST",
                path="/bots",
                operation="bots.create",
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
            ),
            Route(
                method="PATCH",
                path="/bots/{name}",
                operation="bots.patch",
                policy="bots.write",
                handler=self._patch,
                summary="Change parts of its definition by a merge patch (RFC 7396)",
                query=MessageQuery,
                raw=True,
                response=StoredOut,
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
                content_type=YAML,
            ),
            *(self._switch(enabled) for enabled in (True, False)),
            Route(
                method="GET",
                path="/schema",
                operation="bots.schema",
                policy="plugins.read",
                handler=self._show_schema,
                summary="The JSON Schema of definitions, with what is installed",
                response=SchemaOut,
            ),
        ]

    def _switch(self, enabled: bool) -> Route:
        verb = "enable" if enabled else "disable"

        async def switch(request: ApiRequest) -> ApiResponse:
            return await self._merge(request, {"enabled": enabled}, f"{verb}d")

        return Route(
            method="POST",
            path=f"/bots/{{name}}/{verb}",
            operation=f"bots.{verb}",
            policy="bots.write",
            handler=switch,
            summary=f"Let its definition say `enabled: {str(enabled).lower()}`: a new version",
            response=StoredOut,
        )

    async def _create(self, request: ApiRequest) -> ApiResponse:
        sent = await read_bot(request, self._runtime.reader)

        def given(tag: str | None) -> None:
            if tag is not None:
                raise BotExists(sent.bot.name)

        return await self._store(request, sent, given, status=201)

    async def _replace(self, request: ApiRequest) -> ApiResponse:
        demanded = precondition(request.headers)
        sent = await read_bot(request, self._runtime.reader, request.path["name"])
        return await self._store(request, sent, demanded)

    async def _patch(self, request: ApiRequest) -> ApiResponse:
        if request.content_type not in _PATCHES:
            raise MediaTypeUnsupported("send `Content-Type: application/merge-patch+json`")
        patch = parse_json(request.body)
        if not isinstance(patch, dict):
            raise RequestInvalid([Problem("a merge patch of a definition is an object")])
        return await self._merge(request, patch, request.query.message)

    async def _merge(
        self, request: ApiRequest, patch: Mapping[str, JSON], message: str
    ) -> ApiResponse:
        """Patch what is there, as often as somebody else is quicker."""
        name, demanded = request.path["name"], precondition(request.headers)
        for _ in range(_TRIES):
            seen, document = await self._runtime.door.read(_newest, name, request.caller.workspace)

            def given(tag: str | None, seen: str | None = seen) -> None:
                if demanded is not None:
                    demanded(tag)
                if tag != seen:
                    raise _Overtaken

            sent = await check_bot(
                authoring.merged(document, dict(patch)), self._runtime.reader, name
            )
            try:
                return await self._store(request, sent, given, message=message)
            except _Overtaken:
                continue
        raise PreconditionFailed(f"{name} is being changed by others; try again")

    async def _store(
        self,
        request: ApiRequest,
        sent: Sent,
        given: Precondition | None,
        *,
        message: str | None = None,
        status: int = 200,
    ) -> ApiResponse:
        caller, now = request.caller, self._runtime.clock.micros()
        written = Written.of(
            sent.bot,
            sent.text,
            API,
            author=caller.name,
            message=request.query.message if message is None else message,
        )

        def store() -> tuple[Stored, str | None]:
            stored = self._runtime.registry.store(
                written, now, by=caller, workspace=caller.workspace, given=given
            )
            row = bots.get(sent.bot.name, workspace=caller.workspace)
            return stored, bots.tag(row)

        stored, tag = await self._runtime.door.write(store)
        name = sent.bot.name
        headers = {"ETag": etag(tag or ""), "Location": f"/api/v1/bots/{name}"}
        answer = {
            "name": name,
            "version": stored.number,
            "change": stored.change,
            "widens": list(stored.widens),
        }
        return ApiResponse(answer, status, headers)

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
            _there(name, caller.workspace)
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

    async def _show_schema(self, request: ApiRequest) -> JSON:
        if not self._schema:
            self._schema.update(bot_schema(self._runtime.components))
        return self._schema


def _there(name: str, workspace: str) -> BotRow:
    row = bots.get(name, workspace=workspace)
    if row.removed_at is not None:
        raise bots.gone(row)
    return row


def _newest(name: str, workspace: str) -> tuple[str | None, JSON]:
    """The tag of a bot that the API may change, and its newest definition, waiting or live."""
    row = _there(name, workspace)
    if row.origin == FILE:
        raise BotReadOnly(name, row.source or "")
    version = bots.version_of(row.pending_version_id or row.active_version_id)
    return bots.tag(row), {} if version is None else loads(version.document)


def _live(name: str, workspace: str) -> tuple[BotRow, VersionRow]:
    row = _there(name, workspace)
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
