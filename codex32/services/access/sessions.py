"""Sign-ins, and the refresh tokens that keep them going.

A refresh token is good for one use and is given up for the next. One that is used again was
stolen, by its second user or by the first: nobody can tell, so the whole sign-in ends. A program
whose two threads refreshed at the same moment is spared: within :data:`GRACE_SECONDS`, from the
same client at the same address, the second is only refused.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from codex32.kernel.account_rows import AccountRow, RefreshTokenRow, SessionRow
from codex32.kernel.caller import Caller
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON
from codex32.services.access.faults import SessionNotFound
from codex32.services.access.tokens import digest, new_token
from codex32.services.presentation import iso
from codex32.services.safe import audit

GRACE_SECONDS = 5.0
#: Characters that are kept of what a client calls itself.
MAX_CLIENT = 200


@dataclass(frozen=True, slots=True)
class Client:
    """The program that signs in: what it calls itself, and where it comes from."""

    name: str
    address: str

    @classmethod
    def of(cls, name: str, address: str) -> Client:
        """A client by what it calls itself, cut short and without what cannot be shown."""
        shown = "".join(each for each in name[:MAX_CLIENT] if each.isprintable())
        return cls(shown, address)

    @property
    def mark(self) -> str:
        """Tells one client from another."""
        return digest(f"{self.address} {self.name}")


@dataclass(frozen=True, slots=True)
class Opening:
    """A sign-in to be made; chosen beforehand, so that a repeated write finds it."""

    method: Literal["password", "oidc"]
    client: Client
    expires_at: int
    id: str = field(default_factory=lambda: new_id("ses"))
    token: str = field(default_factory=lambda: new_token("refresh"), repr=False)


def open_session(account: AccountRow, opening: Opening, caller: Caller, now: int) -> None:
    """Note that somebody has signed in."""
    if SessionRow.select().where(SessionRow.id == opening.id).exists():
        return  # a commit whose answer was lost
    SessionRow.insert(
        id=opening.id,
        account_id=account.id,
        method=opening.method,
        client=opening.client.name,
        address=opening.client.address,
        created_at=now,
        seen_at=now,
        expires_at=opening.expires_at,
    ).execute()
    _keep(opening.token, opening.id, None, now)
    audit.record(
        caller, "session.created", opening.id, now, change={"method": opening.method}, workspace=""
    )


def _keep(token: str, session_id: str, parent: str | None, now: int) -> None:
    RefreshTokenRow.insert(
        digest=digest(token), session_id=session_id, parent=parent, created_at=now
    ).execute()


@dataclass(frozen=True, slots=True)
class Rotation:
    """What became of a refresh token.

    Attributes:
      session: The sign-in it belongs to, if it let somebody go on.
      account: Whose it is.
    """

    session: SessionRow | None = None
    account: AccountRow | None = None


def rotate(token: str, successor: str, client: Client, caller: Caller, now: int) -> Rotation:
    """Give ``token`` up for ``successor``. Nothing is raised: what a thief did must be kept."""
    row = RefreshTokenRow.get_or_none(RefreshTokenRow.digest == digest(token))
    if row is None:
        return Rotation()
    session = SessionRow.get_or_none(SessionRow.id == row.session_id)
    if session is None:
        return Rotation()
    account = AccountRow.get_or_none(AccountRow.id == session.account_id)
    ended = session.revoked_at is not None or session.expires_at <= now
    if ended or account is None or not account.active:
        return Rotation()
    following = RefreshTokenRow.digest == digest(successor)
    if RefreshTokenRow.select().where(following).exists():
        return Rotation(session, account)  # a commit whose answer was lost
    taken = (
        RefreshTokenRow.update(used_at=now, used_by=client.mark)
        .where((RefreshTokenRow.digest == row.digest) & RefreshTokenRow.used_at.is_null())
        .execute()
    )
    if not taken:
        _used_again(row.digest, session, client, caller, now)
        return Rotation()
    _keep(successor, session.id, row.digest, now)
    SessionRow.update(seen_at=now, address=client.address).where(
        SessionRow.id == session.id
    ).execute()
    return Rotation(session, account)


def _used_again(used: str, session: SessionRow, client: Client, caller: Caller, now: int) -> None:
    row = RefreshTokenRow.get(RefreshTokenRow.digest == used)
    at_once = row.used_at is not None and now - row.used_at < GRACE_SECONDS * 1e6
    if at_once and row.used_by == client.mark:
        return
    revoke(session.id, now)
    why = {"reason": "a refresh token was used twice"}
    audit.record(
        caller, "session.revoked", session.id, now, change=why, workspace="", outcome="refused"
    )


def revoke(session_id: str, now: int) -> None:
    """End a sign-in: its refresh and access tokens are worthless."""
    SessionRow.update(revoked_at=now).where(
        (SessionRow.id == session_id) & SessionRow.revoked_at.is_null()
    ).execute()


def revoke_of(account_id: str, now: int, *, keep: str | None = None) -> None:
    """End all sign-ins of an account, but for one."""
    mine = (SessionRow.account_id == account_id) & SessionRow.revoked_at.is_null()
    if keep is not None:
        mine &= SessionRow.id != keep
    SessionRow.update(revoked_at=now).where(mine).execute()


def revoke_token(token: str, caller: Caller, now: int) -> bool:
    """End the sign-in that a refresh token belongs to; whether there was one.

    Who holds the token is who signed in, as far as anybody can tell; ``caller`` says from where.
    """
    its = RefreshTokenRow.select(RefreshTokenRow.session_id)
    its = its.where(RefreshTokenRow.digest == digest(token))
    session = SessionRow.get_or_none(SessionRow.id.in_(its))
    if session is None:
        return False
    account: AccountRow = AccountRow.get_by_id(session.account_id)
    who = replace(caller, kind="user", id=account.id, name=account.username, user_id=account.id)
    _end(session.id, who, now)
    return True


def end(account_id: str, session_id: str, caller: Caller, now: int) -> None:
    """End one sign-in of an account.

    Raises:
      SessionNotFound: It has none of this id.
    """
    mine = (SessionRow.id == session_id) & (SessionRow.account_id == account_id)
    if not SessionRow.select().where(mine).exists():
        raise SessionNotFound(session_id)
    _end(session_id, caller, now)


def _end(session_id: str, caller: Caller, now: int) -> None:
    row = SessionRow.get_or_none(SessionRow.id == session_id)
    if row is not None and row.revoked_at is None:
        revoke(session_id, now)
        audit.record(caller, "session.ended", session_id, now, workspace="")


def listing(
    account_id: str, now: int, *, limit: int, before: str | None = None
) -> list[SessionRow]:
    """The sign-ins of an account that hold, newest first, behind the one ``before``."""
    mine = (SessionRow.account_id == account_id) & SessionRow.revoked_at.is_null()
    if before is not None:
        mine &= SessionRow.id < before
    found = SessionRow.select().where(mine & (SessionRow.expires_at > now))
    return list(found.order_by(SessionRow.id.desc()).limit(limit))


def as_dict(row: SessionRow, present: str | None) -> dict[str, JSON]:
    """A sign-in as plain data for JSON; ``present`` is the one that asks."""
    return {
        "id": row.id,
        "method": row.method,
        "client": row.client,
        "address": row.address,
        "present": row.id == present,
        "created_at": iso(row.created_at),
        "seen_at": iso(row.seen_at),
        "expires_at": iso(row.expires_at),
    }
