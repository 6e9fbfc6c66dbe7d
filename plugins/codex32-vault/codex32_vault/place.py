"""Where the settings say that Vault is, and who asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codex32 import Problem, did_you_mean

_KEYS = (
    "address",
    "namespace",
    "mount",
    "path",
    "kv",
    "token",
    "token_file",
    "role_id",
    "secret_id",
    "secret_id_file",
    "auth_mount",
    "ca_file",
    "cache_seconds",
    "timeout_seconds",
)
_PATH = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True, slots=True)
class Place:
    """A secret of Vault's KV engine, whose keys are the names of our secrets.

    Attributes:
      kv: The version of the engine, 1 or 2.
      token: A token that was handed out, or None.
      role_id: Of an AppRole, with which tokens are asked for; None with a token.
      cache_seconds: How long an answer is remembered.
    """

    address: str
    namespace: str
    mount: str
    path: str
    kv: int
    auth_mount: str
    ca_file: str | None
    cache_seconds: float
    timeout_seconds: float
    role_id: str | None
    _token: str | None = field(repr=False)
    _token_file: str | None
    _secret_id: str | None = field(repr=False)
    _secret_id_file: str | None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Place:
        """What the settings say; they have been found to be without :func:`problems`."""
        return cls(
            address=str(config["address"]).rstrip("/"),
            namespace=str(config.get("namespace", "")),
            mount=str(config.get("mount", "secret")).strip("/"),
            path=str(config.get("path", "codex32")).strip("/"),
            kv=int(config.get("kv", 2)),
            auth_mount=str(config.get("auth_mount", "approle")).strip("/"),
            ca_file=config.get("ca_file"),
            cache_seconds=float(config.get("cache_seconds", 5)),
            timeout_seconds=float(config.get("timeout_seconds", 10)),
            role_id=config.get("role_id"),
            _token=config.get("token"),
            _token_file=config.get("token_file"),
            _secret_id=config.get("secret_id"),
            _secret_id_file=config.get("secret_id_file"),
        )

    def token(self) -> str | None:
        """The token that was handed out; a file is read each time, since agents replace it."""
        return _read(self._token_file) if self._token_file else self._token

    def secret_id(self) -> str | None:
        """The AppRole's; a file is read each time."""
        return _read(self._secret_id_file) if self._secret_id_file else self._secret_id


def problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings."""
    for key in sorted(config.keys() - set(_KEYS)):
        yield Problem(f"{key!r} is no setting{did_you_mean(key, _KEYS)}", key)
    if "address" not in config:
        if config:
            yield Problem("names no Vault; write https://vault.example.com:8200", "address")
        return
    if not str(config["address"]).startswith(("https://", "http://")):
        yield Problem("is no address; write https://vault.example.com:8200", "address")
    for key in ("mount", "path", "auth_mount"):
        if key in config and not _PATH.fullmatch(str(config[key]).strip("/")):
            yield Problem(f"{config[key]!r} is no path; write a/b", key)
    if config.get("kv", 2) not in (1, 2):
        yield Problem(f"{config['kv']!r} is no version of the KV engine; write 1 or 2", "kv")
    ways = [key for key in ("token", "token_file", "role_id") if key in config]
    if len(ways) != 1:
        yield Problem("write one of token, token_file and role_id", "token")
    if ("role_id" in config) != ("secret_id" in config or "secret_id_file" in config):
        yield Problem("role_id and secret_id (or secret_id_file) go together", "role_id")
    if "ca_file" in config and not Path(str(config["ca_file"])).is_file():
        yield Problem("there is no such file", "ca_file")
    for key in ("cache_seconds", "timeout_seconds"):
        value = config.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            yield Problem(f"{value!r} is no number of seconds", key)


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeError):
        return None
