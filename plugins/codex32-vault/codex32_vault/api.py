"""Vault's HTTP API, as far as reading secrets needs it."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin

from codex32 import (
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    retry_after_seconds,
)
from codex32_vault.place import Place

_MAX_ANSWER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Token:
    """What Vault lets one in with.

    Attributes:
      ttl_seconds: How long from when it was given or renewed; 0 for ever.
    """

    text: str
    ttl_seconds: float
    renewable: bool

    def __repr__(self) -> str:
        return f"Token(ttl_seconds={self.ttl_seconds}, renewable={self.renewable})"


class Api:
    """Asks Vault; each question has a connection of its own, so that any event loop may ask.

    Every method raises ProviderUnavailable where Vault is out of reach, sealed or overloaded,
    ProviderUnauthorized where it does not let one in, and ProviderRejected else.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    async def sign_in(self, role_id: str, secret_id: str) -> Token:
        """A token for an AppRole."""
        body = {"role_id": role_id, "secret_id": secret_id}
        answer = await self._ask("POST", f"auth/{self._place.auth_mount}/login", None, body)
        return _token(answer.get("auth"), "client_token", "lease_duration")

    async def look_up(self, token: str) -> Token:
        """How long a token that was handed out is good."""
        answer = await self._ask("GET", "auth/token/lookup-self", token)
        return _token({**(answer.get("data") or {}), "id": token}, "id", "ttl")

    async def renew(self, token: Token) -> Token:
        """The same token, for longer."""
        answer = await self._ask("POST", "auth/token/renew-self", token.text, {})
        return _token(answer.get("auth"), "client_token", "lease_duration")

    async def read(self, token: Token) -> dict[str, Any] | None:
        """The keys and values of the secret; None where there is none, or it was deleted."""
        versioned = self._place.kv == 2
        path = f"{self._place.mount}/{'data/' * versioned}{quote(self._place.path)}"
        answer = await self._ask("GET", path, token.text, missing={"data": None})
        values = answer.get("data")
        if versioned:
            values = values.get("data") if isinstance(values, dict) else None
        return values if isinstance(values, dict) else None

    async def _ask(
        self,
        method: str,
        path: str,
        token: str | None,
        body: Any = None,
        missing: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        import aiohttp

        headers = {"X-Vault-Request": "true"}
        if self._place.namespace:
            headers["X-Vault-Namespace"] = self._place.namespace
        if token:
            headers["X-Vault-Token"] = token
        url = f"{self._place.address}/v1/{path}"
        limit = aiohttp.ClientTimeout(total=self._place.timeout_seconds)
        try:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls()), timeout=limit, trust_env=False
            ) as session:
                for _ in range(2):  # a standby sends one to the active server
                    async with session.request(
                        method, url, headers=headers, json=body, allow_redirects=False
                    ) as response:
                        if response.status not in (301, 302, 307, 308):
                            text = await _text(response)
                            known = {k.lower(): v for k, v in response.headers.items()}
                            return _judged(response.status, known, text, missing)
                        url = _next(url, response.headers.get("Location", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            kind = type(error).__name__
            raise ProviderUnavailable(f"Vault cannot be asked: {kind}") from None
        raise ProviderUnavailable("Vault's servers send one to each other; is there a leader?")

    def _tls(self) -> ssl.SSLContext | bool:
        if self._place.ca_file is None:
            return True
        return ssl.create_default_context(cafile=self._place.ca_file)


def _next(url: str, location: str) -> str:
    following = urljoin(url, location)
    if not location or (url.startswith("https:") and not following.startswith("https:")):
        raise ProviderUnavailable("Vault sends one to an address that is not safe to follow")
    return following


async def _text(response: Any) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise ProviderRejected("Vault answered with more than 1 MiB")
    return bytes(body)


def _judged(
    status: int, headers: dict[str, str], body: bytes, missing: dict[str, Any] | None
) -> dict[str, Any]:
    try:
        answer = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        answer = None
    if status == 404 and missing is not None and isinstance(answer, dict):
        return missing
    if 200 <= status < 300:
        if not isinstance(answer, dict):
            raise ProviderUnavailable("something that is not Vault answers at its address")
        return answer
    patience = retry_after_seconds(
        {k.lower(): v for k, v in headers.items()}.get("retry-after", "")
    )
    if status == 429:
        raise ProviderRateLimited("Vault asks to ask less often", retry_after_seconds=patience)
    if status in (400, 401, 403):
        raise ProviderUnauthorized(
            f"Vault does not let the house in ({status}); look at the token or AppRole and at "
            "its policy"
        )
    if status == 503:
        raise ProviderUnavailable("Vault is sealed or down (503)", retry_after_seconds=patience)
    if status == 412 or status >= 500:
        raise ProviderUnavailable(f"Vault failed ({status})", retry_after_seconds=patience)
    raise ProviderRejected(f"Vault answered {status}; are mount and path right?")


def _token(told: Any, name: str, ttl: str) -> Token:
    if not isinstance(told, dict) or not isinstance(told.get(name), str):
        raise ProviderUnavailable("Vault answered without a token")
    seconds = told.get(ttl)
    return Token(
        told[name],
        float(seconds) if isinstance(seconds, int | float) else 0.0,
        told.get("renewable") is True,
    )
