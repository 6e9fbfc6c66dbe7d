"""Workspaces and their members.

Members are those of the workspace that the request works in; no address and no body names another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydantic import Field

from codex32.api.access_models import (
    MemberBody,
    MemberOut,
    NamesQuery,
    RoleBody,
    WorkspaceBody,
    WorkspaceOut,
    WorkspacePatch,
    page,
)
from codex32.api.models import Page
from codex32.api.reading import Strict
from codex32.kernel.caller import Caller
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.access import workspaces
from codex32.services.access.faults import WorkspaceNotFound
from codex32.services.retrieval.storing import Storing
from codex32.services.upkeep.purging import Purge


class PurgeQuery(Strict):
    """How much is to go."""

    purge: bool = Field(
        False,
        description="With its collections and its history: executions, bots that were deleted.",
    )


class WorkspaceRoutes:
    """The routes below ``/workspaces`` and ``/members``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._clock = runtime.door, runtime.clock
        self._change = runtime.access.recogniser.change
        storing = Storing(runtime.door, runtime.components)
        self._purge = Purge(runtime.door, self._change, runtime.payloads, storing)

    def routes(self) -> list[Route]:
        """The declarations."""
        return [*self._of_workspaces(), *self._of_members()]

    def _of_workspaces(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/workspaces",
                operation="workspaces.list",
                policy="account.read",
                handler=self._list,
                summary="The workspaces one belongs to; all of them for administrators",
                query=NamesQuery,
                response=Page[WorkspaceOut],
            ),
            Route(
                method="POST",
                path="/workspaces",
                operation="workspaces.create",
                keyed=True,
                policy="workspaces.write",
                handler=self._create,
                summary="Make a workspace, without members",
                body=WorkspaceBody,
                response=WorkspaceOut,
                status=201,
            ),
            Route(
                method="GET",
                path="/workspaces/{name}",
                operation="workspaces.read",
                policy="account.read",
                handler=self._read,
                summary="One of the workspaces that the list shows",
                response=WorkspaceOut,
            ),
            Route(
                method="PATCH",
                path="/workspaces/{name}",
                operation="workspaces.change",
                policy="workspaces.write",
                handler=self._patch,
                summary="Change its title; names stay",
                body=WorkspacePatch,
                response=WorkspaceOut,
            ),
            Route(
                method="DELETE",
                path="/workspaces/{name}",
                operation="workspaces.delete",
                policy="workspaces.write",
                handler=self._delete,
                summary="Delete it once it holds nothing any more",
                description="History of what was there holds it, unless it is purged.",
                query=PurgeQuery,
                status=204,
            ),
        ]

    def _of_members(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/members",
                operation="members.list",
                policy="members.read",
                handler=self._members,
                summary="Who belongs to the workspace, by username",
                query=NamesQuery,
                response=Page[MemberOut],
            ),
            Route(
                method="POST",
                path="/members",
                operation="members.add",
                policy="members.write",
                handler=self._add,
                summary="Take somebody into the workspace, or give them another role",
                body=MemberBody,
                response=MemberOut,
                also={201: MemberOut},
            ),
            Route(
                method="PUT",
                path="/members/{user}",
                operation="members.change",
                policy="members.write",
                handler=self._put,
                summary="The same, by id or username in the address",
                body=RoleBody,
                response=MemberOut,
                also={201: MemberOut},
            ),
            Route(
                method="DELETE",
                path="/members/{user}",
                operation="members.remove",
                policy="members.write",
                handler=self._remove,
                summary="Remove somebody; their keys for the workspace are revoked",
                status=204,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        query: NamesQuery = request.query
        look = partial(_seen, request.caller, limit=query.limit + 1, after=query.cursor or "")
        return _page(await self._door.read(look), query.limit, "name")

    async def _read(self, request: ApiRequest) -> JSON:
        name = request.path["name"]
        return await self._door.read(_one, request.caller, name)

    async def _create(self, request: ApiRequest) -> ApiResponse:
        body: WorkspaceBody = request.body
        caller, now = request.caller, self._clock.micros()
        row = await self._change(partial(workspaces.create, body.name, body.title, caller, now))
        return ApiResponse(workspaces.as_dict(row), 201)

    async def _patch(self, request: ApiRequest) -> JSON:
        body: WorkspacePatch = request.body
        name, caller, now = request.path["name"], request.caller, self._clock.micros()
        row = await self._change(partial(workspaces.change_title, name, body.title, caller, now))
        return workspaces.as_dict(row)

    async def _delete(self, request: ApiRequest) -> ApiResponse:
        name, caller, now = request.path["name"], request.caller, self._clock.micros()
        if request.query.purge:
            await self._purge(name, caller, now)
        else:
            await self._change(partial(workspaces.delete, name, caller, now))
        return ApiResponse(status=204)

    async def _members(self, request: ApiRequest) -> JSON:
        query: NamesQuery = request.query
        workspace = request.caller.workspace
        look = partial(
            workspaces.members, workspace, limit=query.limit + 1, after=query.cursor or ""
        )
        return _page(await self._door.read(look), query.limit, "username")

    async def _add(self, request: ApiRequest) -> ApiResponse:
        body: MemberBody = request.body
        return await self._let_be(request, body.user, body)

    async def _put(self, request: ApiRequest) -> ApiResponse:
        return await self._let_be(request, request.path["user"], request.body)

    async def _let_be(
        self, request: ApiRequest, who: str, body: MemberBody | RoleBody
    ) -> ApiResponse:
        caller, now = request.caller, self._clock.micros()
        member, new = await self._change(
            partial(workspaces.put_member, caller.workspace, who, body.role, caller, now)
        )
        return ApiResponse(member, 201 if new else 200)

    async def _remove(self, request: ApiRequest) -> ApiResponse:
        caller, now = request.caller, self._clock.micros()
        who = request.path["user"]
        await self._change(partial(workspaces.remove_member, caller.workspace, who, caller, now))
        return ApiResponse(status=204)


def _page(rows: Sequence[dict[str, JSON]], limit: int, key: str) -> JSON:
    shown, following = page(rows, limit, lambda row: str(row[key]))
    return {"items": shown, "next": following}


def _seen(caller: Caller, *, limit: int, after: str) -> list[dict[str, JSON]]:
    """The workspaces that a caller may know of."""
    everywhere = caller.user_id is None or caller.admin
    return workspaces.listing(None if everywhere else caller.user_id, limit=limit, after=after)


def _one(caller: Caller, name: str) -> dict[str, JSON]:
    row, role = workspaces.get(name), None
    if caller.user_id is not None:
        role = workspaces.role_of(caller.user_id, name)
        if role is None and not caller.admin:
            raise WorkspaceNotFound(name)
    return workspaces.as_dict(row, role)
