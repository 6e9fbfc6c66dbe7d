"""API keys: one's own, and those of a workspace."""

from __future__ import annotations

from functools import partial

from codex32.api.access_models import IdsQuery, KeyBody, KeyMadeOut, KeyOut, page
from codex32.api.models import Page
from codex32.api.routes.account import own
from codex32.kernel.account_rows import ApiKeyRow
from codex32.kernel.caller import Caller
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.errors import AccessDenied
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.access import accounts, keys, recognition
from codex32.services.access.faults import WorkspaceMissing
from codex32.services.access.keys import NewKey

_DAY_MICROS = 86_400_000_000


class KeyRoutes:
    """The routes below ``/auth/keys`` and ``/keys``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._clock = runtime.door, runtime.clock
        self._change = runtime.access.recogniser.change

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/auth/keys",
                operation="account.keys.list",
                policy="account.read",
                handler=self._mine,
                summary="One's own API keys that hold, newest first",
                query=IdsQuery,
                response=Page[KeyOut],
            ),
            Route(
                method="POST",
                path="/auth/keys",
                operation="account.keys.create",
                keyed=True,
                policy="account.write",
                handler=self._create,
                summary="Make an API key for the workspace of the request",
                description=(
                    "Its scopes are permissions that its owner has there, now and whenever it is "
                    "used. The whole key is in this one answer and nowhere else."
                ),
                body=KeyBody,
                response=KeyMadeOut,
                status=201,
            ),
            Route(
                method="DELETE",
                path="/auth/keys/{id}",
                operation="account.keys.revoke",
                policy="account.write",
                handler=self._revoke_mine,
                summary="Revoke one of one's API keys",
                status=204,
            ),
            Route(
                method="GET",
                path="/keys",
                operation="keys.list",
                policy="keys.manage",
                handler=self._of_workspace,
                summary="All API keys of the workspace that hold, newest first",
                query=IdsQuery,
                response=Page[KeyOut],
            ),
            Route(
                method="DELETE",
                path="/keys/{id}",
                operation="keys.revoke",
                policy="keys.manage",
                handler=self._revoke,
                summary="Revoke an API key of the workspace, whoever owns it",
                status=204,
            ),
        ]

    async def _mine(self, request: ApiRequest) -> JSON:
        return await self._page(request.query, account_id=own(request.caller))

    async def _create(self, request: ApiRequest) -> ApiResponse:
        body: KeyBody = request.body
        caller, now = request.caller, self._clock.micros()
        new = NewKey(
            _workspace(caller),
            own(caller),
            body.name,
            body.scopes,
            now + body.days * _DAY_MICROS,
        )
        row = await self._change(partial(_create, new, caller, now))
        return ApiResponse({**keys.as_dict(row), "key": new.key.text}, 201)

    async def _revoke_mine(self, request: ApiRequest) -> ApiResponse:
        account_id, caller, now = own(request.caller), request.caller, self._clock.micros()
        await self._change(
            partial(keys.revoke, request.path["id"], caller, now, account_id=account_id)
        )
        return ApiResponse(status=204)

    async def _of_workspace(self, request: ApiRequest) -> JSON:
        return await self._page(request.query, workspace=request.caller.workspace)

    async def _page(
        self, query: IdsQuery, *, account_id: str | None = None, workspace: str | None = None
    ) -> JSON:
        look = partial(
            keys.listing,
            account_id=account_id,
            workspace=workspace,
            limit=query.limit + 1,
            before=query.cursor,
        )
        shown, following = page(await self._door.read(look), query.limit, lambda row: row.id)
        return {"items": [keys.as_dict(row) for row in shown], "next": following}

    async def _revoke(self, request: ApiRequest) -> ApiResponse:
        caller, now = request.caller, self._clock.micros()
        await self._change(
            partial(keys.revoke, request.path["id"], caller, now, workspace=caller.workspace)
        )
        return ApiResponse(status=204)


def _create(new: NewKey, caller: Caller, now: int) -> ApiKeyRow:
    """Inside the write, so that what the owner may do is what they may do now."""
    allowed = recognition.allowed_in(accounts.get(new.account_id), new.workspace)
    return keys.create(new, allowed, caller, now)


def _workspace(caller: Caller) -> str:
    if caller.undecided:
        raise WorkspaceMissing
    if not caller.workspace:
        raise AccessDenied("workspace.read")
    return caller.workspace
