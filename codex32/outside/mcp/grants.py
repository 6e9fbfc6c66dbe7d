"""Access tokens for servers over HTTP: client credentials at an authorization server."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.errors import ProviderUnauthorized, ProviderUnavailable
from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.kernel.json_values import JSON
from codex32.kernel.masking import handed_out
from codex32.outside.mcp.addresses import place, shown, unpathed

#: Seconds before its end from which on a token is not used any more, and for which one is that
#: does not say when it ends.
_BEFORE_SECONDS, _USUAL_SECONDS = 30.0, 300.0
_TOKEN_SECONDS, _TOKEN_BYTES = 30.0, 64 * 1024
_TOKEN = re.compile(r"[\x21-\x7e]{1,8000}")
_ERROR = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class Grant:
    """What the house is at an authorization server.

    Attributes:
      client_secret: With ``${{ secrets.NAME }}``, or the value in its place.
      scope: What is asked for; empty for whatever the server gives.
    """

    token_url: str
    client_id: str
    client_secret: str
    scope: str = ""


class Tokens:
    """Asks for tokens, and keeps them until they end."""

    def __init__(self, http: Callable[[Sequence[str]], HttpClient]) -> None:
        self._http = http
        self._kept: dict[tuple[Grant, str], tuple[str, float]] = {}

    async def of(self, grant: Grant, resource: str, *, anew: bool = False) -> str:
        """The token for a server.

        Args:
          grant: With the value of its secret.
          resource: The address of the server, for which alone the token shall be good (RFC 8707).
          anew: The one that is kept was not taken.

        Raises:
          ProviderUnauthorized: None is given.
          ProviderUnavailable, ProviderRejected: The authorization server cannot be asked.
        """
        token, ends_at = self._kept.get((grant, resource), ("", 0.0))
        if anew or ends_at < time.monotonic():
            token, seconds = await self._given(grant, resource)
            now = time.monotonic()
            # Secrets and addresses change; nobody comes back for what stood under the old ones.
            self._kept = {key: kept for key, kept in self._kept.items() if kept[1] >= now}
            self._kept[grant, resource] = token, now + seconds - _BEFORE_SECONDS
        handed_out.add(token)
        return token

    async def _given(self, grant: Grant, resource: str) -> tuple[str, float]:
        who = f"{quote_plus(grant.client_id)}:{quote_plus(grant.client_secret)}"
        form = {"grant_type": "client_credentials", "resource": resource}
        request = HttpRequest(
            grant.token_url,
            "POST",
            headers={
                "Authorization": f"Basic {base64.b64encode(who.encode()).decode()}",
                "Accept": "application/json",
            },
            form={**form, "scope": grant.scope} if grant.scope else form,
            timeout_seconds=_TOKEN_SECONDS,
            max_bytes=_TOKEN_BYTES,
        )
        try:
            response = await self._http([place(grant.token_url)]).send(request)
        except ProviderUnavailable as fault:
            why = unpathed(fault.message, grant.token_url)
            raise ProviderUnavailable(why, code="mcp-unreachable") from None
        told = _read(response)
        token, kind = told.get("access_token"), told.get("token_type")
        if response.status == 200 and isinstance(token, str) and _TOKEN.fullmatch(token):
            if str(kind).lower() == "bearer":
                return token, _seconds(told.get("expires_in"))
            raise ProviderUnauthorized(f"{shown(grant.token_url)} gives a token that is no bearer")
        where = f"{shown(grant.token_url)} answers {response.status}"
        if response.status == 429 or response.status >= 500:
            raise ProviderUnavailable(f"{where} and gives no token", code="mcp-unreachable")
        error = told.get("error")
        # Whatever else it says may repeat what it was sent.
        why = f": {error}" if isinstance(error, str) and _ERROR.fullmatch(error) else ""
        raise ProviderUnauthorized(f"{where} and gives no token{why}")


def _read(response: HttpResponse) -> Mapping[str, JSON]:
    try:
        told = parse_foreign(response.body)
    except NotJson:
        return {}
    return told if isinstance(told, Mapping) else {}


def _seconds(told: JSON) -> float:
    usable = isinstance(told, int | float) and not isinstance(told, bool) and told > 0
    return float(told) if usable else _USUAL_SECONDS
