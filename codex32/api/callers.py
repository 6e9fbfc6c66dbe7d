"""Who calls, and what a caller may do."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

from codex32.api.errors import InvalidToken, Unauthorized
from codex32.api.network import source_of
from codex32.kernel.caller import STRANGER, Caller
from codex32.kernel.errors import AccessDenied, Codex32Error
from codex32.kernel.permissions import PERMISSIONS, Level
from codex32.kernel.private_files import create_private
from codex32.services.access.faults import CredentialsInvalid, WorkspaceMissing
from codex32.services.access.recogniser import Recogniser
from codex32_config.settings import Settings

#: Whoever holds the token of the installation.
OPERATOR = Caller(
    "operator", "operator", "operator", admin=True, workspace="default", permissions=None
)


class Gatekeeper:
    """Recognises callers by the header ``Authorization``; no other place is looked at.

    Args:
      token: The installation's own, which the operator's programs send.
      recogniser: Finds users and API keys; without it there is the operator alone.
    """

    def __init__(self, token: str, recogniser: Recogniser | None = None) -> None:
        self._token = _bytes(token)
        self._recogniser = recogniser

    async def recognise(self, headers: Mapping[str, str]) -> Caller:
        """The caller who sent these headers; from where, others know.

        Args:
          headers: Of the request; names in any case.

        Raises:
          Unauthorized: There is no token, or it is nobody's.
          WorkspaceNotFound: They asked for a workspace that they cannot see.
        """
        authorization = headers.get("Authorization")
        if authorization is None:
            raise Unauthorized("send the header `Authorization: Bearer TOKEN`")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidToken("the header Authorization holds no bearer token")
        workspace = headers.get("X-Workspace") or None
        return await self._find(token, workspace)

    async def _find(self, token: str, workspace: str | None) -> Caller:
        # How long it takes tells the length of the token at most, which is no secret.
        if hmac.compare_digest(_bytes(token), self._token):
            if self._recogniser is None:
                return OPERATOR
            return await self._recogniser.operator(OPERATOR, workspace)
        if self._recogniser is None:
            raise InvalidToken("the header Authorization holds no valid bearer token")
        try:
            return await self._recogniser.caller(token, workspace)
        except CredentialsInvalid as error:
            raise InvalidToken(error.message) from None


def counted_as(caller: Caller) -> str:
    """Whose requests count together: those of an account with all its keys, or of a source."""
    if caller.kind == STRANGER.kind:
        return source_of(caller.address)
    return caller.user_id or caller.id


def require(caller: Caller, permission: str) -> None:
    """Refuse a caller who may not do this.

    Raises:
      WorkspaceMissing: It would depend on the workspace, and they named none.
      AccessDenied: They may not.
    """
    if caller.may(permission):
        return
    known = PERMISSIONS.get(permission)
    if caller.undecided and (known is None or known.level is Level.WORKSPACE):
        raise WorkspaceMissing
    raise AccessDenied(permission)


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


def _bytes(token: str) -> bytes:
    return token.encode(errors="surrogateescape")
