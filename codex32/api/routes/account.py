"""One's own account: what it is, its password, its sign-ins."""

from __future__ import annotations

from functools import partial

from codex32.api.access_models import (
    AccountOut,
    IdsQuery,
    MeBody,
    MeOut,
    PasswordBody,
    SessionOut,
    page,
)
from codex32.api.models import Page
from codex32.kernel.account_rows import AccountRow
from codex32.kernel.caller import Caller
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.kernel.errors import AccessDenied
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.access import accounts, keys, sessions, workspaces
from codex32.services.access.faults import CredentialsInvalid


class AccountRoutes:
    """The routes below ``/auth`` that need a sign-in."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._clock = runtime.door, runtime.clock
        self._change = runtime.access.recogniser.change
        self._sign_in, self._passwords = runtime.access.sign_in, runtime.access.passwords

    def routes(self) -> list[Route]:
        """The declarations."""
        return [*self._of_account(), *self._of_workspaces(), *self._of_sessions()]

    def _of_account(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/auth/me",
                operation="account.read",
                policy="caller.read",
                handler=self._read,
                summary="Who the caller is, and what they may do",
                response=MeOut,
            ),
            Route(
                method="PATCH",
                path="/auth/me",
                operation="account.change",
                policy="account.write",
                handler=self._patch,
                summary="Change one's own name, address or home",
                body=MeBody,
                response=AccountOut,
            ),
            Route(
                method="POST",
                path="/auth/password",
                operation="account.password",
                policy="account.write",
                handler=self._password,
                summary="Change one's password; all other sign-ins end",
                body=PasswordBody,
                status=204,
                rate="sign-in",
            ),
        ]

    def _of_workspaces(self) -> list[Route]:
        return [
            Route(
                method="DELETE",
                path="/auth/workspaces/{name}",
                operation="account.leave",
                policy="account.write",
                handler=self._leave,
                summary="Leave a workspace; one's keys for it are revoked",
                status=204,
            )
        ]

    def _of_sessions(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/auth/sessions",
                operation="sessions.list",
                policy="account.read",
                handler=self._sessions,
                summary="One's sign-ins, newest first",
                query=IdsQuery,
                response=Page[SessionOut],
            ),
            Route(
                method="DELETE",
                path="/auth/sessions/{id}",
                operation="sessions.end",
                policy="account.write",
                handler=self._end,
                summary="End one of one's sign-ins",
                status=204,
            ),
            Route(
                method="DELETE",
                path="/auth/sessions",
                operation="sessions.end-all",
                policy="account.write",
                handler=self._end_all,
                summary="Sign out everywhere, here too; API keys stay",
                status=204,
            ),
        ]

    async def _read(self, request: ApiRequest) -> JSON:
        return await self._door.read(_me, request.caller)

    async def _patch(self, request: ApiRequest) -> JSON:
        body: MeBody = request.body
        account_id, caller, now = own(request.caller), request.caller, self._clock.micros()
        values = body.model_dump(exclude_none=True, exclude={"current_password", "home"})
        if "email" in values:
            values["email"] = body.email.lower() if body.email else ""
            # A stolen access token must not become a stolen account.
            await self._sign_in.confirm(account_id, body.current_password or "", caller)

        def write() -> AccountRow:
            if body.home is not None:
                workspaces.make_home(account_id, body.home, caller, now)
            return accounts.change(account_id, values, caller, now)

        return accounts.as_dict(await self._change(write))

    async def _leave(self, request: ApiRequest) -> ApiResponse:
        account_id, caller, now = own(request.caller), request.caller, self._clock.micros()
        name = request.path["name"]
        await self._change(partial(workspaces.remove_member, name, account_id, caller, now))
        return ApiResponse(status=204)

    async def _password(self, request: ApiRequest) -> ApiResponse:
        body: PasswordBody = request.body
        account_id, caller = own(request.caller), request.caller
        row = await self._sign_in.confirm(account_id, body.current_password, caller)
        hashed = await self._passwords.hash(body.password, accounts.words(row))
        now, keep = self._clock.micros(), caller.session_id
        await self._change(
            partial(accounts.set_password, account_id, hashed, caller, now, keep=keep)
        )
        return ApiResponse(status=204)

    async def _sessions(self, request: ApiRequest) -> JSON:
        account_id, now = own(request.caller), self._clock.micros()
        query: IdsQuery = request.query
        look = partial(
            sessions.listing, account_id, now, limit=query.limit + 1, before=query.cursor
        )
        shown, following = page(await self._door.read(look), query.limit, lambda row: row.id)
        items = [sessions.as_dict(row, request.caller.session_id) for row in shown]
        return {"items": items, "next": following}

    async def _end(self, request: ApiRequest) -> ApiResponse:
        account_id, caller, now = own(request.caller), request.caller, self._clock.micros()
        await self._change(partial(sessions.end, account_id, request.path["id"], caller, now))
        return ApiResponse(status=204)

    async def _end_all(self, request: ApiRequest) -> ApiResponse:
        account_id, caller, now = own(request.caller), request.caller, self._clock.micros()
        await self._change(partial(accounts.end_all, account_id, caller, now))
        return ApiResponse(status=204)


def own(caller: Caller) -> str:
    """The id of the caller's own account.

    Raises:
      AccessDenied: They have none, as the operator, or act as a program, which must not.
    """
    if caller.kind != "user" or caller.user_id is None:
        raise AccessDenied("account.write")
    return caller.user_id


def _me(caller: Caller) -> JSON:
    account, name = AccountRow.get_or_none(AccountRow.id == caller.user_id), caller.name
    if account is None and caller.kind == "user":
        raise CredentialsInvalid("the account is gone")
    everywhere = caller.user_id is None or caller.admin
    seen = workspaces.listing(None if everywhere else caller.user_id, limit=100)
    if caller.kind == "key":  # a program is told of itself, and nothing of whose it is
        account, seen = None, [each for each in seen if each["name"] == caller.workspace]
        name = keys.get(caller.id).name
    return {
        "kind": caller.kind,
        "name": name,
        "admin": caller.admin,
        "workspace": caller.workspace,
        "role": caller.role,
        "permissions": None if caller.permissions is None else sorted(caller.permissions),
        "account": None if account is None else accounts.as_dict(account),
        "workspaces": seen,
    }
