"""All accounts of the installation, for its administrators."""

from __future__ import annotations

from functools import partial

from codex32.api.access_models import (
    AccountOut,
    CodeOut,
    IdsQuery,
    UserBody,
    UserMadeOut,
    UserPatch,
    page,
)
from codex32.api.models import Page
from codex32.kernel.account_rows import AccountRow
from codex32.kernel.caller import Caller
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.access import accounts, one_time
from codex32.services.access.accounts import NewAccount
from codex32.services.access.one_time import HAND_SECONDS, Code


class UserRoutes:
    """The routes below ``/users``."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._clock = runtime.door, runtime.clock
        self._change = runtime.access.recogniser.change

    def routes(self) -> list[Route]:
        """The declarations."""
        return [*self._of_all(), *self._of_one()]

    def _of_all(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/users",
                operation="users.list",
                policy="users.read",
                handler=self._list,
                summary="Accounts, oldest first",
                query=IdsQuery,
                response=Page[AccountOut],
            ),
            Route(
                method="POST",
                path="/users",
                operation="users.create",
                keyed=True,
                policy="users.write",
                handler=self._create,
                summary="Make an account, and a code with which its owner sets the password",
                body=UserBody,
                response=UserMadeOut,
                status=201,
            ),
        ]

    def _of_one(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/users/{id}",
                operation="users.read",
                policy="users.read",
                handler=self._read,
                summary="An account, by id or username",
                response=AccountOut,
            ),
            Route(
                method="PATCH",
                path="/users/{id}",
                operation="users.change",
                policy="users.write",
                handler=self._patch,
                summary="Change an account; who is disabled is signed out at once",
                body=UserPatch,
                response=AccountOut,
            ),
            Route(
                method="DELETE",
                path="/users/{id}",
                operation="users.delete",
                policy="users.write",
                handler=self._delete,
                summary="Delete an account with its sign-ins and keys",
                status=204,
            ),
            Route(
                method="POST",
                path="/users/{id}/code",
                operation="users.code",
                keyed=True,
                policy="users.write",
                handler=self._code,
                summary="A one-time code with which its owner sets the password",
                response=CodeOut,
                status=201,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        query: IdsQuery = request.query
        rows = await self._door.read(accounts.listing, query.limit + 1, query.cursor)
        shown, following = page(rows, query.limit, lambda row: row.id)
        return {"items": [accounts.as_dict(row) for row in shown], "next": following}

    async def _read(self, request: ApiRequest) -> JSON:
        return accounts.as_dict(await self._door.read(accounts.find, request.path["id"]))

    async def _create(self, request: ApiRequest) -> ApiResponse:
        body: UserBody = request.body
        # An administrator who makes an account vouches for its address.
        new = NewAccount(
            body.email, body.username, body.full_name, admin=body.admin, email_verified=True
        )
        code, now = Code("hand"), self._clock.micros()
        row = await self._change(partial(_create, new, code, request.caller, now))
        told = {"account": accounts.as_dict(row), "way_in": _told(code)}
        return ApiResponse(told, 201)

    async def _patch(self, request: ApiRequest) -> JSON:
        body: UserPatch = request.body
        values = body.model_dump(exclude_none=True)
        if body.email is not None:
            values["email"] = body.email.lower()
        who, caller, now = request.path["id"], request.caller, self._clock.micros()

        def write() -> AccountRow:
            return accounts.change(accounts.find(who).id, values, caller, now)

        return accounts.as_dict(await self._change(write))

    async def _delete(self, request: ApiRequest) -> ApiResponse:
        who, caller, now = request.path["id"], request.caller, self._clock.micros()
        await self._change(lambda: accounts.delete(accounts.find(who).id, caller, now))
        return ApiResponse(status=204)

    async def _code(self, request: ApiRequest) -> ApiResponse:
        who, caller, now = request.path["id"], request.caller, self._clock.micros()
        code = Code("hand")
        await self._change(lambda: one_time.issue(accounts.find(who).id, code, caller, now))
        return ApiResponse(_told(code), 201)


def _create(new: NewAccount, code: Code, caller: Caller, now: int) -> AccountRow:
    row = accounts.create(new, caller, now)
    one_time.issue(row.id, code, caller, now)
    return row


def _told(code: Code) -> dict[str, JSON]:
    return {"code": code.text, "expires_in": HAND_SECONDS}
