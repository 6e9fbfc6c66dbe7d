"""Signing in, and staying signed in: what strangers may call.

``/auth/token`` and ``/auth/revoke`` answer as RFC 6749 and RFC 7009 say, all others as the rest of
the API does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from codex32.api.access_models import (
    AccountOut,
    ForgotBody,
    OAuthErrorOut,
    RefreshBody,
    RegisterBody,
    ResetBody,
    ResetOut,
    TokenOut,
)
from codex32.api.errors import (
    BodyMalformed,
    BodyTooLarge,
    MediaTypeUnsupported,
    RequestInvalid,
    headers_of,
)
from codex32.api.rates import TooManyRequests
from codex32.kernel.contracts.route import PUBLIC, ApiRequest, ApiResponse, Route
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.access import accounts
from codex32.services.access.accounts import NewAccount
from codex32.services.access.faults import CredentialsInvalid, GrantNotOffered, TooManyTries
from codex32.services.access.sessions import Client
from codex32.services.access.signing_in import Tokens

#: The one scope there is: all that the account may do.
SCOPE = "codex32"
_MAX_FORM = 16 * 1024
_REFUSALS = (400, 401, 413, 415, 429)
_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class _Form(BaseModel):
    """A form of OAuth: parameters that are not known are passed by (RFC 6749, 3.2)."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class TokenForm(_Form):
    """A grant; parameters without a value count as left out."""

    grant_type: str = ""
    username: str = ""
    password: str = ""
    refresh_token: str = ""
    scope: str = ""
    client_id: str = ""
    client_secret: str = ""


class RevokeForm(_Form):
    """A token that shall be worthless."""

    token: str = ""
    token_type_hint: str = ""


class OAuthFault(Codex32Error):
    """A request that OAuth has a word of its own for."""

    code = "oauth"

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


class AuthRoutes:
    """The routes below ``/auth`` that are open."""

    def __init__(self, runtime: Runtime) -> None:
        self._sign_in = runtime.access.sign_in

    def routes(self) -> list[Route]:
        """The declarations."""
        return [*self._of_oauth(), *self._of_passwords()]

    def _of_oauth(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path="/auth/token",
                operation="auth.token",
                policy=PUBLIC,
                handler=self._token,
                summary="Sign in with a password, or go on with a refresh token (RFC 6749)",
                description=(
                    "Grants: `password` (where `auth.password_grant` allows it) and "
                    "`refresh_token`. Errors are those of RFC 6749; whoever has to wait is told "
                    "`temporarily_unavailable`, with 429. What is no fault of the request (5xx), "
                    "RFC 6749 has no word for: it is a problem document, as everywhere."
                ),
                form=TokenForm,
                max_bytes=_MAX_FORM,
                response=TokenOut,
                rate="sign-in",
                refusal=refused,
                also=dict.fromkeys(_REFUSALS, OAuthErrorOut),
            ),
            Route(
                method="POST",
                path="/auth/revoke",
                operation="auth.revoke",
                policy=PUBLIC,
                handler=self._revoke,
                summary="End the sign-in that a token belongs to (RFC 7009)",
                form=RevokeForm,
                max_bytes=_MAX_FORM,
                rate="sign-in",
                refusal=refused,
                also=dict.fromkeys(_REFUSALS, OAuthErrorOut),
            ),
            Route(
                method="POST",
                path="/auth/refresh",
                operation="auth.refresh",
                policy=PUBLIC,
                handler=self._refresh,
                summary="New tokens for a refresh token, which is used up",
                body=RefreshBody,
                response=TokenOut,
                rate="sign-in",
            ),
        ]

    def _of_passwords(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path="/auth/register",
                operation="auth.register",
                policy=PUBLIC,
                handler=self._register,
                summary="Make oneself an account, where `auth.registration` allows it",
                body=RegisterBody,
                response=AccountOut,
                status=201,
                rate="sign-in",
            ),
            Route(
                method="POST",
                path="/auth/forgot",
                operation="auth.forgot",
                policy=PUBLIC,
                handler=self._forgot,
                summary="Have a one-time code mailed; the answer is the same for any address",
                body=ForgotBody,
                status=202,
                rate="sign-in",
            ),
            Route(
                method="POST",
                path="/auth/reset",
                operation="auth.reset",
                policy=PUBLIC,
                handler=self._reset,
                summary="Set a password with a one-time code",
                body=ResetBody,
                response=ResetOut,
                rate="sign-in",
            ),
        ]

    async def _token(self, request: ApiRequest) -> ApiResponse:
        form: TokenForm = request.body
        _check_client(form, request.headers)
        if form.scope not in ("", SCOPE):
            raise OAuthFault("invalid_scope", f"the only scope is {SCOPE}")
        match form.grant_type:
            case "":
                raise OAuthFault("invalid_request", "grant_type is missing")
            case "password" if form.username and form.password:
                tokens = await self._sign_in.by_password(
                    form.username, form.password, client_of(request), request.caller
                )
            case "password":
                raise OAuthFault("invalid_request", "username and password are needed")
            case "refresh_token" if form.refresh_token:
                tokens = await self._sign_in.by_refresh_token(
                    form.refresh_token, client_of(request), request.caller
                )
            case "refresh_token":
                raise OAuthFault("invalid_request", "refresh_token is needed")
            case _:
                raise OAuthFault("unsupported_grant_type", "write password or refresh_token")
        return ApiResponse(token_answer(tokens), headers=_KEPT)

    async def _revoke(self, request: ApiRequest) -> ApiResponse:
        form: RevokeForm = request.body
        if not form.token:
            raise OAuthFault("invalid_request", "token is missing")
        await self._sign_in.end(form.token, request.caller)
        return ApiResponse({}, headers=_KEPT)

    async def _refresh(self, request: ApiRequest) -> ApiResponse:
        body: RefreshBody = request.body
        tokens = await self._sign_in.by_refresh_token(
            body.refresh_token, client_of(request), request.caller
        )
        return ApiResponse(token_answer(tokens), headers=_KEPT)

    async def _register(self, request: ApiRequest) -> JSON:
        body: RegisterBody = request.body
        new = NewAccount(body.email, body.username, body.full_name)
        row = await self._sign_in.register(new, body.password, client_of(request), request.caller)
        return accounts.as_dict(row)

    async def _forgot(self, request: ApiRequest) -> ApiResponse:
        body: ForgotBody = request.body
        await self._sign_in.forgot(body.email, client_of(request), request.caller)
        return ApiResponse({}, 202)

    async def _reset(self, request: ApiRequest) -> JSON:
        body: ResetBody = request.body
        row = await self._sign_in.reset(
            body.code, body.password, client_of(request), request.caller
        )
        return {"username": row.username}


def client_of(request: ApiRequest) -> Client:
    """The program that sent a request."""
    return Client.of(request.headers.get("User-Agent", ""), request.caller.address)


def token_answer(tokens: Tokens) -> dict[str, JSON]:
    """Tokens as RFC 6749, 5.1 writes them."""
    return {
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token,
        "scope": SCOPE,
    }


def _check_client(form: TokenForm, headers: Mapping[str, str]) -> None:
    """Our own clients have no secrets: one that is sent cannot be right."""
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    secret = form.client_secret
    if scheme.lower() == "basic":
        try:
            secret = base64.b64decode(value, validate=True).partition(b":")[2].decode()
        except (binascii.Error, ValueError):
            secret = value
    if secret:
        raise OAuthFault("invalid_client", "no client of this installation has a secret")


def refused(error: Codex32Error) -> ApiResponse | None:
    """An error as RFC 6749, 5.2 writes it; None leaves it to the house.

    That one has to wait has no word there, and has one at the same RFC's other endpoint (4.1.2.1),
    which clients know.
    """
    status, headers = 400, dict(_KEPT)
    match error:
        case OAuthFault(word="invalid_client"):
            word, status = error.word, 401
            headers["WWW-Authenticate"] = 'Basic realm="codex32"'
        case OAuthFault():
            word = error.word
        case CredentialsInvalid():
            word = "invalid_grant"
        case GrantNotOffered():
            word = "unsupported_grant_type"
        case RequestInvalid() | MediaTypeUnsupported() | BodyMalformed() | BodyTooLarge():
            word = "invalid_request"
        case TooManyTries() | TooManyRequests():
            word, status = "temporarily_unavailable", 429
            headers |= headers_of(error)
        case _:
            return None
    told: dict[str, JSON] = {"error": word, "error_description": _described(error)}
    return ApiResponse(told, status, headers)


def _described(error: Codex32Error) -> str:
    """One line of the few characters that RFC 6749 permits there."""
    faults = [problem.message for problem in getattr(error, "problems", ())]
    text = "; ".join([error.message.partition("\n")[0], *faults])
    return "".join(each for each in text if " " <= each <= "~" and each not in '"\\')
