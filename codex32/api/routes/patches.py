"""Changing parts of a bot's definition: merge patches, and switching it on and off."""

from __future__ import annotations

from collections.abc import Mapping

from codex32.api.bot_models import StoredOut
from codex32.api.conditions import precondition
from codex32.api.definitions import MessageQuery, check_bot, store_bot
from codex32.api.errors import MediaTypeUnsupported, PreconditionFailed, RequestInvalid
from codex32.api.reading import parse_json
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.errors import BotReadOnly
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.problems import Problem
from codex32.runtime import Runtime
from codex32.services.bots import authoring, bots
from codex32.services.bots.written import FILE

#: How often a patch is made anew because somebody else was quicker.
_TRIES = 5
_PATCHES = frozenset({"application/merge-patch+json", "application/json"})


class _Overtaken(Exception):
    """Somebody else changed the bot between reading and writing."""


class PatchRoutes:
    """``PATCH /bots/{name}``, and what is short for some of it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
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
            *(self._switch(enabled) for enabled in (True, False)),
        ]

    def _switch(self, enabled: bool) -> Route:
        verb = "enable" if enabled else "disable"

        async def switch(request: ApiRequest) -> ApiResponse:
            # A version that waits is no answer to who wants the live one stopped.
            return await self._merge(request, {"enabled": enabled}, f"{verb}d", live=True)

        return Route(
            method="POST",
            path=f"/bots/{{name}}/{verb}",
            operation=f"bots.{verb}",
            policy="bots.write",
            handler=switch,
            summary=f"Let its live version say `enabled: {str(enabled).lower()}`: a new version",
            response=StoredOut,
        )

    async def _patch(self, request: ApiRequest) -> ApiResponse:
        if request.content_type not in _PATCHES:
            raise MediaTypeUnsupported("send `Content-Type: application/merge-patch+json`")
        patch = parse_json(request.body)
        if not isinstance(patch, dict):
            raise RequestInvalid([Problem("a merge patch of a definition is an object")])
        return await self._merge(request, patch, request.query.message)

    async def _merge(
        self,
        request: ApiRequest,
        patch: Mapping[str, JSON],
        message: str,
        *,
        live: bool = False,
    ) -> ApiResponse:
        """Patch the newest version, or the live one, as often as somebody else is quicker."""
        name, demanded = request.path["name"], precondition(request.headers)
        for _ in range(_TRIES):
            seen, document = await self._runtime.door.read(
                _there, name, request.caller.workspace, live
            )

            def given(tag: str | None, seen: str | None = seen) -> None:
                if demanded is not None:
                    demanded(tag)
                if tag != seen:
                    raise _Overtaken

            sent = await check_bot(
                authoring.merged(document, dict(patch)), self._runtime.reader, name
            )
            try:
                return await store_bot(self._runtime, request, sent, given, message=message)
            except _Overtaken:
                continue
        raise PreconditionFailed(f"{name} is being changed by others; try again")


def _there(name: str, workspace: str, live: bool) -> tuple[str | None, JSON]:
    """The tag of a bot that the API may change, and a definition of it.

    The newest of them, or the live one, where there is one.
    """
    row = bots.there(name, workspace=workspace)
    if row.origin == FILE:
        raise BotReadOnly(name, row.source)
    ids = (row.active_version_id, row.pending_version_id)
    first, second = ids if live else reversed(ids)
    version = bots.version_of(first or second)
    return bots.tag(row), {} if version is None else loads(version.document)
