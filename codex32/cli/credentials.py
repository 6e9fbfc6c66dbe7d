"""Which server a command speaks to, and as whom.

``codex32 login`` keeps a refresh token for each server in a file that only its owner can read;
commands exchange it for an access token and keep the refresh token that comes with that. The
variables CODEX32_SERVER and CODEX32_TOKEN win, for programs.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex32.cli.failures import CommandFailed
from codex32.cli.remote import call
from codex32.kernel.private_files import private_folder, write_private

if TYPE_CHECKING:
    from codex32.cli.context import Context


def server_and_token(context: Context, server: str | None = None) -> tuple[str, str]:
    """The URL of a server and a token that it takes.

    Args:
      context: Of the command.
      server: As the command was told; else CODEX32_SERVER, else the one of this project while it
        runs, else the one that was last signed in to.

    Raises:
      CommandFailed: There is none, or nobody is signed in there.
    """
    url = find_server(context, server)
    if token := os.environ.get("CODEX32_TOKEN"):
        return url, token
    with _kept() as logins:
        login = logins.of(url)
        if login is not None:
            told = _refreshed(url, login["refresh_token"])
            logins.put(url, login["username"], told["refresh_token"])
            return url, str(told["access_token"])
    if url == local_server(context) and (token := _operator_token(context)):
        return url, token
    raise CommandFailed(
        f"nobody is signed in at {url}; run: codex32 login --server {url}", "login"
    )


def find_server(context: Context, server: str | None = None) -> str:
    """The server that is meant; see :func:`server_and_token`.

    Raises:
      CommandFailed: There is none.
    """
    with _kept() as logins:
        last = logins.last
    url = server or os.environ.get("CODEX32_SERVER") or local_server(context) or last
    if not url:
        raise CommandFailed("which server? write --server https://HOST, or set CODEX32_SERVER")
    return url.rstrip("/")


def local_server(context: Context) -> str | None:
    """Where the API of this project listens, if it runs on this machine."""
    try:
        told = json.loads((context.settings.home / "api.json").read_text(encoding="utf-8"))
        return str(told["url"])
    except (OSError, ValueError, KeyError):
        return None


def _operator_token(context: Context) -> str | None:
    settings = context.settings
    if settings.api.token is not None:
        return settings.api.token.get_secret_value()
    with contextlib.suppress(OSError):
        return settings.token_file.read_text(encoding="utf-8").strip()
    return None


def _refreshed(url: str, token: str) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    try:
        return call(url, "POST", "/api/v1/auth/token", form=form)
    except CommandFailed as error:
        if error.code == "invalid_grant":
            told = f"your sign-in at {url} has ended; run: codex32 login --server {url}"
            raise CommandFailed(told, "login") from None
        raise


def keep(url: str, username: str, refresh_token: str) -> Path:
    """Keep a sign-in; the file that holds it."""
    with _kept() as logins:
        logins.put(url, username, refresh_token)
        return logins.path


def forget(url: str) -> str | None:
    """Forget a sign-in; the refresh token that was kept."""
    with _kept() as logins:
        return logins.drop(url)


@dataclass
class _Logins:
    """The file of sign-ins."""

    path: Path
    data: dict[str, Any]

    def of(self, url: str) -> dict[str, str] | None:
        found: dict[str, str] | None = self.data["servers"].get(url)
        return found

    @property
    def last(self) -> str | None:
        return self.data["last"]  # type: ignore[no-any-return]

    def put(self, url: str, username: str, refresh_token: str) -> None:
        self.data["servers"][url] = {"username": username, "refresh_token": refresh_token}
        self.data["last"] = url
        self._write()

    def drop(self, url: str) -> str | None:
        login = self.data["servers"].pop(url, None)
        if self.data["last"] == url:
            self.data["last"] = next(iter(self.data["servers"]), None)
        self._write()
        return login["refresh_token"] if login else None

    def _write(self) -> None:
        write_private(self.path, json.dumps(self.data, indent=2) + "\n")


@contextlib.contextmanager
def _kept() -> Iterator[_Logins]:
    """The sign-ins; one command at a time, for a refresh token is good once."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    path = Path(base) / "codex32" / "credentials.json"
    private_folder(path.parent)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield _Logins(path, _read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {"servers": dict(data["servers"]), "last": data["last"]}
    except FileNotFoundError:
        return {"servers": {}, "last": None}
    except (ValueError, KeyError, TypeError):
        raise CommandFailed(f"{path} cannot be read; delete it and sign in again") from None
