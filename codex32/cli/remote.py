"""Calling a server's API from the command line, with what Python brings along."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from codex32.cli.failures import CommandFailed

_TIMEOUT_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 30.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is for one server; it is not carried to where that server points."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def call(
    server: str,
    method: str,
    path: str,
    *,
    token: str | None = None,
    body: Any = None,
    form: Mapping[str, str] | None = None,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    tries: int = 1,
) -> Any:
    """What the API answers, read from JSON; None where it answers nothing.

    Args:
      server: ``https://HOST``, without a path.
      method: Such as ``GET``.
      path: Such as ``/api/v1/bots``.
      token: Sent as the bearer token.
      body: Sent as JSON.
      form: Sent as a form, instead.
      data: Sent as it is, instead; its type stands in ``headers``.
      headers: Beside those.
      tries: How often it is asked where the server wants patience (429 and 503); only for what
        may be asked twice.

    Raises:
      CommandFailed: The server is not reached, or refuses; with its words and its code.
    """
    if not server.startswith(("http://", "https://")):
        raise CommandFailed(f"{server} is no server; write https://HOST", "server")
    sent = {"Accept": "application/json", "User-Agent": "codex32-cli", **(headers or {})}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    if form is not None:
        data = urllib.parse.urlencode(form).encode()
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    elif body is not None:
        data = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
        server.rstrip("/") + path, data, sent, method=method
    )
    text = _answer(server, request, tries)
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise CommandFailed(f"{server} does not answer as Codex-32 does", "server") from None


def _answer(server: str, request: urllib.request.Request, tries: int) -> bytes:
    for left in range(tries - 1, -1, -1):
        try:
            with _opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            if not left or error.code not in (429, 503):
                raise _refused(server, error) from None
            with error:
                time.sleep(_pause(error.headers.get("Retry-After")))
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise CommandFailed(f"{server} cannot be reached: {reason}", "server") from None
    raise AssertionError("the last try answers or raises")


def _pause(told: str | None) -> float:
    """Seconds to wait: as the server says, within reason."""
    seconds = float(told) if told is not None and told.isdecimal() else 1.0
    return min(seconds, _LONGEST_PAUSE_SECONDS)


def _refused(server: str, error: urllib.error.HTTPError) -> CommandFailed:
    with error:
        try:
            told = json.loads(error.read())
            code = str(told.get("code") or told["error"])
            message = str(told.get("detail") or told["error_description"])
        except (ValueError, KeyError, AttributeError, OSError):
            return CommandFailed(f"{server} answers with {error.code}", "server")
    faults = [f"  {each.get('path')}: {each['message']}" for each in told.get("errors", ())]
    return CommandFailed("\n".join([message, *faults]), code)
