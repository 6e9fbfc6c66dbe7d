"""An OpenID provider on this machine: real codes, keys and signatures; it lies when told to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID, CLIENT_SECRET = "codex32-test", "a secret of the client"


@dataclass
class OpenIdProvider:
    """Answers as OpenID Connect Core says.

    Attributes:
      person: The claims of whoever sits before the browser.
      lies: Claims that the id token has instead; None leaves one out.
      how: ``none``, ``hmac`` or ``foreign`` signs in a way that must not be believed; ``moved``
        with a key that was published only now.
    """

    url: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    how: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    key: Any = field(default_factory=lambda: _key("first"))
    granted: dict[str, dict[str, str]] = field(default_factory=dict)

    async def start(self) -> web.AppRunner:
        """Serve; ``url`` is the issuer."""
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._published)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _published(self, _: web.Request) -> web.Response:
        told = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            **self.metadata,
        }
        return web.json_response(told)

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self.granted[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        raise web.HTTPFound(f"{asked['redirect_uri']}?{back}")

    async def _token(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl(await request.text(), strict_parsing=True))
        pair = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".replace(" ", "+").encode()).decode()
        asked = self.granted.pop(form["code"], None)
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (
            asked is None
            or request.headers.get("Authorization") != f"Basic {pair}"
            or asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge"] != _base64(hashed)
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = self._signed(asked["nonce"])
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": token})

    def _signed(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 60,
            "nonce": nonce,
            **self.person,
            **self.lies,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        key, header = self.key, {"alg": "RS256", "kid": self.key.kid}
        if self.how == "none":
            return ".".join([_encoded('{"alg":"none"}'), _encoded(json.dumps(claims)), ""])
        if self.how == "hmac":  # with what everybody can read: the public key
            said = ".".join([_encoded('{"alg":"HS256"}'), _encoded(json.dumps(claims))])
            proof = hmac.digest(self.key.as_pem(private=False), said.encode(), "sha256")
            return f"{said}.{_base64(proof)}"
        if self.how == "foreign":
            key = _key(self.key.kid)
        if self.how == "moved":
            key = self.key = _key("second")
            header["kid"] = "second"
        return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def _encoded(text: str) -> str:
    return _base64(text.encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _key(kid: str) -> Any:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})
