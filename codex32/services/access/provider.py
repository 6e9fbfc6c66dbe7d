"""An OpenID provider: where it is, its keys, and whether what it says of somebody is true.

What the provider answers is data from outside. Its id token is believed only if one of the keys
that the provider itself publishes signed it with an algorithm of :data:`ALGORITHMS`, and if it was
made for us, now, and for this very sign-in.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.errors import StepFault
from codex32.kernel.json_values import loads
from codex32.services.access.faults import ProviderFailed, ProviderRefused

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

#: Signatures that only the provider can make; none that a shared secret, or nobody, could.
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
_METADATA_SECONDS, _KEYS_SECONDS = 3600.0, 60.0
_MAX_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 15.0
_LEEWAY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows this installation by."""

    issuer: str
    client_id: str
    redirect_url: str
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider has shown to be there."""

    issuer: str
    subject: str
    email: str
    email_verified: bool
    name: str


class Provider:
    """Speaks with one provider.

    Args:
      client: What it knows us by.
      http: The way to it.
    """

    def __init__(self, client: Client, http: HttpClient) -> None:
        self.client, self._http = client, http
        self._metadata: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def endpoint(self, name: str) -> str:
        """An address of the provider's, as it publishes it.

        Raises:
          ProviderFailed: It is not reached, or publishes what cannot be used.
        """
        metadata = await self._published()
        address = metadata.get(name)
        secure = "https://" if self.client.issuer.startswith("https://") else "http"
        if not isinstance(address, str) or not address.startswith(secure):
            raise ProviderFailed(f"the provider publishes no {name} that can be used")
        return address

    async def _published(self) -> Mapping[str, Any]:
        now = time.monotonic()
        if self._metadata is not None and now - self._metadata[0] < _METADATA_SECONDS:
            return self._metadata[1]
        url = f"{self.client.issuer.rstrip('/')}/.well-known/openid-configuration"
        metadata = await self._object(HttpRequest(url))
        # Else one provider could have another's tokens taken for its own.
        if metadata.get("issuer") != self.client.issuer:
            raise ProviderFailed("the provider names itself otherwise than auth.oidc.issuer does")
        self._metadata = now, metadata
        return metadata

    async def exchange(self, code: str, verifier: str) -> str:
        """The id token that the provider gives for a code.

        Raises:
          ProviderFailed: It is not reached.
          ProviderRefused: It does not take the code.
        """
        url = await self.endpoint("token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_url,
            "client_id": self.client.client_id,
            "code_verifier": verifier,
        }
        headers = {"Accept": "application/json", **self._credentials(form)}
        answer = await self._object(HttpRequest(url, "POST", headers=headers, form=form))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderRefused("the provider gave no id token")
        return token

    def _credentials(self, form: dict[str, str]) -> Mapping[str, str]:
        """The secret as the provider wants it: in the header, else in the form."""
        secret = self.client.client_secret
        if secret is None:
            return {}
        assert self._metadata is not None
        known = self._metadata[1].get("token_endpoint_auth_methods_supported")
        if isinstance(known, list) and "client_secret_basic" not in known:
            form["client_secret"] = secret
            return {}
        pair = f"{quote_plus(self.client.client_id)}:{quote_plus(secret)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    async def identity(self, token: str, nonce: str, now: int) -> Identity:
        """Whom an id token speaks of, if it may be believed at ``now`` (seconds).

        Raises:
          ProviderFailed: The keys cannot be had.
          ProviderRefused: It may not.
        """
        # Off the loop: the first time it takes a while.
        jwt = await asyncio.to_thread(importlib.import_module, "joserfc.jwt")
        from joserfc.errors import JoseError

        key = await self._key(token)
        try:
            found = jwt.decode(token, key, algorithms=list(ALGORITHMS))
            claims = found.claims
            self._check(claims, nonce, now)
            return Identity(
                self.client.issuer,
                claims["sub"],
                _text(claims.get("email")).lower(),
                claims.get("email_verified") is True,
                _text(claims.get("name")),
            )
        except (JoseError, ValueError, TypeError, RecursionError):
            raise ProviderRefused("what the provider says cannot be believed") from None

    async def _key(self, token: str) -> Any:
        """The key that the token names; the provider's are read again where it is a new one."""
        from joserfc import jws
        from joserfc.errors import JoseError

        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError):
            raise ProviderRefused("the provider gave no id token") from None
        if header.get("alg") not in ALGORITHMS:
            raise ProviderRefused("the id token is signed in a way that proves nothing")
        kid = header.get("kid")
        for older_than in (0.0, _KEYS_SECONDS):
            keys = await self._published_keys(older_than)
            fitting = [key for key in keys if kid is None or key.kid == kid]
            if len(fitting) == 1:
                return fitting[0]
        raise ProviderRefused("the id token is signed with a key that is not the provider's")

    async def _published_keys(self, older_than: float) -> KeySet:
        """The provider's keys: as they are known, or read again if they are known so long."""
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        now = time.monotonic()
        if self._keys is not None and (not older_than or now - self._keys[0] < older_than):
            return self._keys[1]
        published = await self._object(HttpRequest(await self.endpoint("jwks_uri")))
        try:
            self._keys = now, KeySet.import_key_set(published)  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError):
            raise ProviderFailed("the provider publishes keys that cannot be read") from None
        return self._keys[1]

    def _check(self, claims: Mapping[str, Any], nonce: str, now: int) -> None:
        """OpenID Connect Core, 3.1.3.7."""
        from joserfc.jwt import JWTClaimsRegistry

        mine = self.client.client_id
        JWTClaimsRegistry(
            now,
            _LEEWAY_SECONDS,
            iss={"essential": True, "value": self.client.issuer},
            aud={"essential": True, "value": mine},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(dict(claims))
        if claims["aud"] not in (mine, [mine]) and claims.get("azp") != mine:
            raise ValueError("made for several, and not for us first")
        if not 1 <= len(claims["sub"]) <= 255:
            raise ValueError("no subject")

    async def _object(self, request: HttpRequest) -> Mapping[str, Any]:
        sent = replace(request, timeout_seconds=_TIMEOUT_SECONDS, max_bytes=_MAX_BYTES)
        try:
            response = await self._http.send(sent)
        except StepFault as error:
            raise ProviderFailed(f"the provider cannot be used: {error.message}") from None
        return _read(response)


def _read(response: HttpResponse) -> Mapping[str, Any]:
    if response.status >= 500:
        raise ProviderFailed(f"the provider answers with {response.status}")
    if response.status != 200:
        raise ProviderRefused(f"the provider answers with {response.status}")
    try:
        told = loads(response.text())
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ProviderFailed("the provider answers with something that is no object")
    return told


def _text(value: object) -> str:
    return "".join(each for each in value if each.isprintable()) if isinstance(value, str) else ""


def private_host(issuer: str) -> str:
    """The provider's ``HOST:PORT``: who set the issuer permits this host, wherever it stands."""
    parts = urlsplit(issuer)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
