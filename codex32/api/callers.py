"""Who calls, and what a caller may do."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace

from codex32.api.errors import Unauthorized
from codex32.kernel.caller import Caller
from codex32.kernel.errors import Codex32Error
from codex32.kernel.private_files import create_private
from codex32_config.settings import Settings

#: Whoever holds the token of the installation.
OPERATOR = Caller(
    "operator", "operator", "operator", admin=True, workspace="default", permissions=None
)


class Gatekeeper:
    """Recognises callers by the header ``Authorization``; no other place is looked at.

    Args:
      token: What the administrator's programs send.
    """

    def __init__(self, token: str) -> None:
        self._digest = _digest(token)

    async def recognise(self, headers: Mapping[str, str], address: str) -> Caller:
        """The caller who sent these headers.

        Args:
          headers: Of the request; names in any case.
          address: Where it came from.

        Raises:
          Unauthorized: There is no token, or it is nobody's.
        """
        authorization = headers.get("Authorization")
        if authorization is None:
            raise Unauthorized("send the header `Authorization: Bearer TOKEN`")
        scheme, _, token = authorization.partition(" ")
        # Digests are of one length, so the comparison tells nothing of the token's.
        if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(token), self._digest):
            raise Unauthorized("the header Authorization holds no valid bearer token")
        return replace(OPERATOR, address=address)


def admin_token(settings: Settings) -> str:
    """The administrator's token: set, or made at the first start and kept in the token file.

    Raises:
      TokenMissing: The token is set to nothing, or its file is empty.
    """
    if settings.api.token is not None:
        return _present(settings.api.token.get_secret_value(), "the setting api.token")
    path = settings.token_file
    if not path.exists():
        create_private(path, f"cx32_{secrets.token_urlsafe(32)}\n")
    return _present(path.read_text(encoding="utf-8").strip(), f"the file {path}")


class TokenMissing(Codex32Error):
    """The place that should hold the administrator's token is empty."""

    code = "token-missing"


def _present(token: str, place: str) -> str:
    if not token:
        raise TokenMissing(f"{place} holds no token; remove it, and one is made")
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
