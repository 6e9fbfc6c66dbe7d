"""Versions of bots: what changed, by whom, which one is live, and approving those that wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

from pydantic import Field, StringConstraints

from codex32.api.bot_models import DiffOut, LiveOut, VersionDetail, VersionOut
from codex32.api.conditions import precondition
from codex32.api.errors import NothingHere
from codex32.api.models import Page
from codex32.api.reading import Strict
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.bots import versions
from codex32.services.bots.written import Stored

_Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


class VersionsQuery(Strict):
    """Which part of the list."""

    cursor: Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,8}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class DiffQuery(Strict):
    """Which versions are compared."""

    from_: _Number | None = Field(None, alias="from", description="Default: the one before `to`.")
    to: _Number | None = Field(None, description="Default: the newest.")


class RollbackIn(Strict):
    """Where to go back to."""

    version: _Number | None = Field(
        None, description="Default: the newest one that could be live and is older than the live."
    )


class VersionRoutes:
    """The routes below ``/bots/{name}/versions``, and going back."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/bots/{name}/versions",
                operation="versions.list",
                policy="bots.read",
                handler=self._list,
                summary="Its versions, newest first: who, when, what changed",
                query=VersionsQuery,
                response=Page[VersionOut],
            ),
            Route(
                method="GET",
                path="/bots/{name}/versions/{number}",
                operation="versions.read",
                policy="bots.read",
                handler=self._read,
                summary="A version with its definition",
                response=VersionDetail,
            ),
            Route(
                method="GET",
                path="/bots/{name}/diff",
                operation="versions.diff",
                policy="bots.read",
                handler=self._diff,
                summary="What changed between two versions, by path",
                query=DiffQuery,
                response=DiffOut,
            ),
            Route(
                method="POST",
                path="/bots/{name}/versions/{number}/activate",
                operation="versions.activate",
                policy="bots.write",
                handler=self._activate,
                summary="Make this version live; of a file it holds until that changes",
                response=LiveOut,
            ),
            Route(
                method="POST",
                path="/bots/{name}/versions/{number}/approve",
                operation="versions.approve",
                policy="bots.approve",
                handler=self._approve,
                summary="Make the version live that waits, for it may more than the one before",
                response=LiveOut,
            ),
            Route(
                method="POST",
                path="/bots/{name}/rollback",
                operation="bots.rollback",
                policy="bots.write",
                handler=self._rollback,
                summary="Go back to an older version; of a file it holds until that changes",
                body=RollbackIn,
                response=LiveOut,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        query = request.query
        below = None if query.cursor is None else int(query.cursor)
        read = partial(versions.listing, below=below, limit=query.limit)
        shown, more = await self._runtime.door.read(read, *_bot(request))
        return {"items": shown, "next": more}

    async def _read(self, request: ApiRequest) -> JSON:
        return await self._runtime.door.read(versions.detail, *_bot(request), _number(request))

    async def _diff(self, request: ApiRequest) -> JSON:
        query = request.query
        return await self._runtime.door.read(
            versions.compare, *_bot(request), query.from_, query.to
        )

    async def _activate(self, request: ApiRequest) -> JSON:
        return await self._go_to(request, _number(request))

    async def _rollback(self, request: ApiRequest) -> JSON:
        return await self._go_to(request, request.body.version)

    async def _go_to(self, request: ApiRequest, number: int | None) -> JSON:
        caller, demanded = request.caller, precondition(request.headers)
        name, workspace = _bot(request)

        def go(now: int) -> Stored:
            wanted = number or versions.before_live(name, workspace)
            return self._runtime.registry.rollback(
                name, wanted, now, by=caller, workspace=workspace, given=demanded
            )

        return await self._live(name, go)

    async def _approve(self, request: ApiRequest) -> JSON:
        name, workspace = _bot(request)
        number = _number(request)

        def approve(now: int) -> Stored:
            return self._runtime.registry.approve(
                name, number, now, by=request.caller, workspace=workspace
            )

        return await self._live(name, approve)

    async def _live(self, name: str, change: Callable[[int], Stored]) -> JSON:
        now = self._runtime.clock.micros()
        stored = await self._runtime.door.write(lambda: change(now))
        return {"name": name, "version": stored.number}


def _bot(request: ApiRequest) -> tuple[str, str]:
    return request.path["name"], request.caller.workspace


def _number(request: ApiRequest) -> int:
    text = request.path["number"]
    if not (text.isdecimal() and text.isascii() and len(text) < 10):
        raise NothingHere("versions are numbered from 1")
    return int(text)
