"""HashiCorp Vault, as far as reading secrets with tokens and AppRoles needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codex32_testing.servers.base import Answer, Asked, ServiceServer


@dataclass
class _Given:
    """A token that is good until a moment, and can be renewed until another."""

    until: float
    last: float


class VaultServer(ServiceServer):
    """One KV secret, one AppRole, one namespace.

    Attributes:
      values: What is in the secret; None where it was deleted.
      kv: The version of the KV engine.
      sealed: Whether it answers 503 to everything.
      ttl_seconds: How long a token is good; ``max_ttl_seconds`` bounds renewals.
      counts: How often each thing was asked for and granted: ``login renew read``.
    """

    role_id, secret_id, token = "role-1", "id-S3CRET", "hvs.S3CRET-handed-out"

    def __init__(self, monotonic: Callable[[], float], namespace: str = "") -> None:
        super().__init__()
        self.values: dict[str, Any] | None = {}
        self.kv, self.sealed = 2, False
        self.ttl_seconds, self.max_ttl_seconds = 300.0, 900.0
        self.counts = {"login": 0, "renew": 0, "read": 0}
        self._monotonic, self._namespace = monotonic, namespace
        self._tokens: dict[str, _Given] = {}

    def hand_out(self) -> str:
        """A token that somebody made by hand."""
        return self._give(self.token)

    def revoke_all(self) -> None:
        """Forget every token."""
        self._tokens.clear()

    def answer(self, asked: Asked) -> Answer:
        """What Vault says."""
        if self.sealed:
            return _errors(503, "Vault is sealed")
        if asked.headers.get("x-vault-namespace", "") != self._namespace:
            return _errors(403, "permission denied")
        if asked.path == "/v1/auth/approle/login" and asked.method == "POST":
            return self._sign_in(asked.json())
        token = asked.headers.get("x-vault-token", "")
        given = self._tokens.get(token)
        if given is None or given.until <= self._monotonic():
            return _errors(403, "permission denied")
        match asked.method, asked.path:
            case "GET", "/v1/auth/token/lookup-self":
                ttl = given.until - self._monotonic()
                return Answer(json={"data": {"id": token, "ttl": int(ttl), "renewable": True}})
            case (("POST" | "PUT"), "/v1/auth/token/renew-self"):
                self.counts["renew"] += 1
                given.until = min(self._monotonic() + self.ttl_seconds, given.last)
                return self._auth(token)
            case "GET", "/v1/secret/data/codex32" if self.kv == 2:
                self.counts["read"] += 1
                return self._read()
            case "GET", "/v1/secret/codex32" if self.kv == 1:
                self.counts["read"] += 1
                return Answer(json={"data": self.values}) if self.values else _errors(404)
        return _errors(403, "1 error occurred:\n\t* permission denied\n\n")

    def _read(self) -> Answer:
        if self.values is None:
            metadata = {"deletion_time": "2026-01-01T00:00:00Z", "destroyed": False, "version": 2}
            return Answer(404, json={"data": {"data": None, "metadata": metadata}})
        return Answer(json={"data": {"data": self.values, "metadata": {"version": 1}}})

    def _sign_in(self, body: dict[str, Any]) -> Answer:
        if (body.get("role_id"), body.get("secret_id")) != (self.role_id, self.secret_id):
            return _errors(400, "invalid role or secret ID")
        self.counts["login"] += 1
        return self._auth(self._give(f"hvs.S3CRET-{self.counts['login']}"))

    def _give(self, token: str) -> str:
        now = self._monotonic()
        self._tokens[token] = _Given(now + self.ttl_seconds, now + self.max_ttl_seconds)
        return token

    def _auth(self, token: str) -> Answer:
        left = self._tokens[token].until - self._monotonic()
        auth = {"client_token": token, "lease_duration": int(left), "renewable": True}
        return Answer(json={"auth": auth})


def _errors(status: int, *texts: str) -> Answer:
    return Answer(status, json={"errors": list(texts)})
