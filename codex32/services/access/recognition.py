"""Who is behind a token, and what they may do at this moment.

Everything is looked up anew: whoever was disabled, signed out, given another role or removed from
a workspace is that from the next look on. What does not hold lets nobody in; there is no default.
Functions here read rows: they are called through ``Door.read``.
"""

from __future__ import annotations

from dataclasses import dataclass

from codex32.kernel.account_rows import (
    AccountRow,
    ApiKeyRow,
    MemberRow,
    SessionRow,
    WorkspaceRow,
)
from codex32.kernel.caller import Caller
from codex32.kernel.database import fetch
from codex32.kernel.permissions import INSTANCE, OWN, RECOGNISED, ROLES, Role
from codex32.services.access import keys, workspaces
from codex32.services.access.faults import CredentialsInvalid, WorkspaceNotFound
from codex32.services.access.signing import Claims
from codex32.services.access.tokens import Key


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody who was recognised.

    Attributes:
      stale_key: The API key whose last use is to be noted.
    """

    caller: Caller
    stale_key: str | None = None


def by_claims(claims: Claims, workspace: str | None, now: int) -> Found:
    """The user whose access token says ``claims``.

    Args:
      claims: Of a token whose signature was verified.
      workspace: In which they want to work, if they said so.
      now: Microseconds.

    Raises:
      CredentialsInvalid: The account or the sign-in is no longer good.
      WorkspaceNotFound: There is none of this name that they could see.
    """
    account = _account(claims.account_id)
    session = SessionRow.get_or_none(SessionRow.id == claims.session_id)
    if (
        account is None
        or account.token_version != claims.version
        or session is None
        or session.account_id != account.id
        or session.revoked_at is not None
        or session.expires_at <= now
    ):
        raise CredentialsInvalid("the access token is not, or no longer, good")
    return Found(_user(account, session.id, workspace))


def _user(account: AccountRow, session_id: str, wanted: str | None) -> Caller:
    roles = _roles(account.id)
    # Never another one that is left: what is sent was meant for where they worked before.
    if account.admin:
        home = workspaces.DEFAULT if account.home is None else account.home
        name = wanted or home
        if name:
            require_workspace(name)
        permissions = None if name else OWN | INSTANCE
    else:
        # Administrators may have chosen one that they do not belong to, and be none any more.
        home = account.home if account.home in roles else ""
        name = wanted or home
        if name and name not in roles:
            raise WorkspaceNotFound(name)
        permissions = OWN | (ROLES[roles[name]] if name else frozenset())
    return Caller(
        "user",
        account.id,
        account.username,
        user_id=account.id,
        admin=bool(account.admin),
        workspace=name,
        role=roles[name].value if name in roles else None,
        permissions=permissions,
        undecided=not name and (bool(account.admin) or bool(roles)),
        session_id=session_id,
    )


def by_key(key: Key, workspace: str | None, now: int) -> Found:
    """The program that has this API key.

    Raises:
      CredentialsInvalid: Nobody has it, or it is no longer good.
      WorkspaceNotFound: It belongs to another workspace than the one asked for.
    """
    row = ApiKeyRow.get_or_none(ApiKeyRow.prefix == key.prefix)
    good = row is not None and key.fits(row.digest)
    if row is None or not good or row.revoked_at is not None or row.expires_at <= now:
        raise CredentialsInvalid("the API key is not, or no longer, good")
    owner = _account(row.account_id)
    allowed = None if owner is None else allowed_in(owner, row.workspace)
    if owner is None or allowed == frozenset():
        raise CredentialsInvalid("the API key's owner is gone from the workspace")
    if workspace not in (None, row.workspace):
        raise WorkspaceNotFound(str(workspace))
    scopes = keys.scopes_of(row)
    caller = Caller(
        "key",
        row.id,
        # Its own name alone could be anybody's: who makes a key calls it as they like.
        f"{owner.username} (key {row.name})",
        user_id=owner.id,
        username=owner.username,
        workspace=row.workspace,
        permissions=RECOGNISED | (scopes if allowed is None else scopes & allowed),
    )
    stale = row.last_used_at is None or now - row.last_used_at > keys.TOUCH_MICROS
    return Found(caller, row.id if stale else None)


def allowed_in(account: AccountRow, workspace: str) -> frozenset[str] | None:
    """What an account may do in a workspace; None: everything, nothing: it is no member."""
    if account.admin:
        return None
    role = workspaces.role_of(account.id, workspace)
    return frozenset() if role is None else ROLES[role]


def _account(account_id: str) -> AccountRow | None:
    row = AccountRow.get_or_none(AccountRow.id == account_id)
    return row if row is not None and row.active else None


def _roles(account_id: str) -> dict[str, Role]:
    found = MemberRow.select(MemberRow.workspace, MemberRow.role)
    rows = fetch(found.where(MemberRow.account_id == account_id))
    return {workspace: Role(role) for workspace, role in rows}


def require_workspace(workspace: str) -> None:
    """Refuse a workspace that is not there.

    Raises:
      WorkspaceNotFound: There is none of this name.
    """
    if not workspaces.NAME.fullmatch(workspace):
        raise WorkspaceNotFound(workspace)
    if not WorkspaceRow.select().where(WorkspaceRow.name == workspace).exists():
        raise WorkspaceNotFound(workspace)
