"""Signing in at an OpenID provider: where a browser begins, and where it comes back to."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from pydantic import BaseModel, ConfigDict

from codex32.api.access_models import TokenOut
from codex32.api.routes.auth import client_of, token_answer
from codex32.kernel.contracts.route import PUBLIC, ApiRequest, ApiResponse, Route
from codex32.runtime import Runtime
from codex32.services.access.faults import GrantNotOffered, ProviderRefused
from codex32.services.access.foreign_sign_in import FLOW_SECONDS, ForeignSignIn

_COOKIE = "codex32_oidc"
_PATH = "/api/v1/auth/oidc"


class CallbackQuery(BaseModel):
    """What the provider sends along; what is not known is passed by (RFC 6749, 4.1.2)."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    state: str = ""
    code: str = ""
    error: str = ""
    iss: str = ""


class OidcRoutes:
    """The routes below ``/auth/oidc``."""

    def __init__(self, runtime: Runtime) -> None:
        self._foreign = runtime.access.foreign
        self._settings = runtime.settings.auth.oidc

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/auth/oidc/start",
                operation="auth.oidc.start",
                policy=PUBLIC,
                handler=self._start,
                summary="Go to the OpenID provider of `auth.oidc`, and come back signed in",
                status=302,
                rate="sign-in",
            ),
            Route(
                method="GET",
                path="/auth/oidc/callback",
                operation="auth.oidc.callback",
                policy=PUBLIC,
                handler=self._callback,
                summary="Where the provider sends the browser back to; answers with tokens",
                query=CallbackQuery,
                response=TokenOut,
                rate="sign-in",
            ),
        ]

    async def _start(self, request: ApiRequest) -> ApiResponse:
        flow = await self._offered().start()
        headers = {"Location": flow.url, "Set-Cookie": self._cookie(flow.browser, FLOW_SECONDS)}
        return ApiResponse(None, 302, headers)

    async def _callback(self, request: ApiRequest) -> ApiResponse:
        foreign, query = self._offered(), request.query
        if query.error or query.iss not in ("", self._settings.issuer):
            raise ProviderRefused("the provider did not let you in")
        browser = _shown(request.headers.get("Cookie", ""))
        tokens = await foreign.finish(
            query.state, query.code, browser, client_of(request), request.caller
        )
        headers = {"Pragma": "no-cache", "Set-Cookie": self._cookie("", 0)}
        return ApiResponse(token_answer(tokens), headers=headers)

    def _offered(self) -> ForeignSignIn:
        if self._foreign is None:
            raise GrantNotOffered("this installation knows no OpenID provider")
        return self._foreign

    def _cookie(self, value: str, seconds: int) -> str:
        """Lax, for the provider's page sends the browser here."""
        secure = "; Secure" if str(self._settings.redirect_url).startswith("https://") else ""
        kept = f"Path={_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
        return f"{_COOKIE}={value}; {kept}"


def _shown(header: str) -> str:
    try:
        found = SimpleCookie(header).get(_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
