"""Accounts: who can sign in.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import peewee as pw

from codex32.kernel.account_rows import (
    AccountRow,
    IdentityRow,
    MemberRow,
    OneTimeTokenRow,
    RefreshTokenRow,
    SessionRow,
)
from codex32.kernel.caller import DEFAULT_WORKSPACE, Caller
from codex32.kernel.ids import ID_PATTERN, new_id
from codex32.kernel.json_values import JSON
from codex32.services.access import keys, sessions
from codex32.services.access.faults import AccountNotFound, AccountTaken, LastAdministrator
from codex32.services.presentation import iso
from codex32.services.safe import audit

EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")
USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be made. The id is chosen beforehand, so that a repeated write finds it."""

    email: str
    username: str
    full_name: str = ""
    admin: bool = False
    email_verified: bool = False
    password_hash: str | None = field(default=None, repr=False)
    id: str = field(default_factory=lambda: new_id("usr"))


def create(new: NewAccount, caller: Caller, now: int) -> AccountRow:
    """Make an account; it belongs to no workspace yet.

    Raises:
      AccountTaken: Its address or username is another's.
    """
    made = AccountRow.get_or_none(AccountRow.id == new.id)
    if made is not None:
        return made  # a commit whose answer was lost
    _require_free(new.id, {"email": new.email.lower(), "username": new.username})
    with _or_taken():
        AccountRow.insert(
            id=new.id,
            email=new.email.lower(),
            email_verified=new.email_verified,
            username=new.username,
            full_name=new.full_name,
            admin=new.admin,
            password_hash=new.password_hash,
            created_at=now,
            updated_at=now,
        ).execute()
    change = {"username": new.username, "email": new.email.lower(), "admin": new.admin}
    audit.record(caller, "user.created", new.id, now, change=change, workspace="")
    return get(new.id)


def _require_free(account_id: str, values: Mapping[str, Any]) -> None:
    if _is_id(values.get("username", "")):
        raise AccountTaken("username")
    for name, what in (("email", "address"), ("username", "username")):
        column = getattr(AccountRow, name)
        taken = (column == values.get(name)) & (AccountRow.id != account_id)
        if name in values and AccountRow.select().where(taken).exists():
            raise AccountTaken(what)


@contextmanager
def _or_taken() -> Iterator[None]:
    """Two who wanted the same at once: the second is told what the first look missed."""
    try:
        yield
    except pw.IntegrityError:
        raise AccountTaken("address or username") from None


def get(account_id: str) -> AccountRow:
    """The account with this id.

    Raises:
      AccountNotFound: There is none.
    """
    row = AccountRow.get_or_none(AccountRow.id == account_id)
    if row is None:
        raise AccountNotFound(account_id)
    return row


def named(who: str) -> AccountRow | None:
    """The account that signs in as ``who``: its username or its address."""
    if not who.isprintable():  # which no database would even look for
        return None
    column = AccountRow.email if "@" in who else AccountRow.username
    return AccountRow.get_or_none(column == who.lower())


def find(who: str) -> AccountRow:
    """The account that people mean by ``who``: an id, a username or an address.

    Raises:
      AccountNotFound: There is none.
    """
    # What is written like an id is one, whatever somebody calls themselves.
    row = AccountRow.get_or_none(AccountRow.id == who) if _is_id(who) else named(who)
    if row is None:
        raise AccountNotFound(who)
    return row


def listing(limit: int, after: str | None = None) -> list[AccountRow]:
    """Accounts, oldest first, behind the one with the id ``after``."""
    found = AccountRow.select().order_by(AccountRow.id).limit(limit)
    return list(found if after is None else found.where(AccountRow.id > after))


def as_dict(row: AccountRow) -> dict[str, JSON]:
    """An account as plain data for JSON."""
    return {
        "id": row.id,
        "username": row.username,
        "email": row.email,
        "email_verified": bool(row.email_verified),
        "full_name": row.full_name,
        "active": bool(row.active),
        "admin": bool(row.admin),
        "home": row.home or None,
        "created_at": iso(row.created_at),
    }


def change(account_id: str, values: Mapping[str, Any], caller: Caller, now: int) -> AccountRow:
    """Give an account other values of ``email username full_name active admin``.

    Who is disabled is signed out everywhere. An address that its owner changes is not verified;
    one that an administrator changes is.

    Raises:
      AccountNotFound: There is none.
      AccountTaken: The address or username is another's.
      LastAdministrator: Nobody could administer the installation any more.
    """
    row = get(account_id)
    wanted = {name: value for name, value in values.items() if getattr(row, name) != value}
    if not wanted:
        return row
    if wanted.get("active") is False or wanted.get("admin") is False:
        _refuse_last(row)
    _require_free(account_id, wanted)
    written = dict(wanted)
    if "email" in wanted:
        written["email_verified"] = caller.id != account_id
    if wanted.get("admin") is False:
        # Where they worked until now: no workspace that takes them in later is meant.
        written["home"] = DEFAULT_WORKSPACE if row.home is None else row.home
    with _or_taken():
        AccountRow.update(**written, updated_at=now).where(AccountRow.id == account_id).execute()
    audit.record(caller, "user.changed", account_id, now, change=wanted, workspace="")
    if wanted.get("active") is False:
        sign_out_everywhere(account_id, now)
    return get(account_id)


def _refuse_last(row: AccountRow) -> None:
    others = (AccountRow.id != row.id) & AccountRow.active & AccountRow.admin
    if row.admin and row.active and not AccountRow.select().where(others).exists():
        raise LastAdministrator(row.username)


def delete(account_id: str, caller: Caller, now: int) -> None:
    """Delete an account and all that lets somebody in as it; what it did stays in the audit log.

    Raises:
      AccountNotFound: There is none.
      LastAdministrator: Nobody could administer the installation any more.
    """
    row = get(account_id)
    _refuse_last(row)
    mine = SessionRow.select(SessionRow.id).where(SessionRow.account_id == account_id)
    RefreshTokenRow.delete().where(RefreshTokenRow.session_id.in_(mine)).execute()
    for kind in (SessionRow, MemberRow, IdentityRow, OneTimeTokenRow):
        kind.delete().where(kind.account_id == account_id).execute()
    keys.delete_of(account_id)
    AccountRow.delete().where(AccountRow.id == account_id).execute()
    told = {"username": row.username, "email": row.email}
    audit.record(caller, "user.deleted", account_id, now, change=told, workspace="")


def set_password(
    account_id: str, password_hash: str, caller: Caller, now: int, *, keep: str | None = None
) -> None:
    """Give an account another password; it is signed out everywhere else.

    Args:
      account_id: Whose it is.
      password_hash: As ``Passwords.hash`` makes it.
      caller: Who does it.
      now: Microseconds.
      keep: The one sign-in that goes on.
    """
    AccountRow.update(password_hash=password_hash, updated_at=now).where(
        AccountRow.id == account_id
    ).execute()
    OneTimeTokenRow.update(used_at=now).where(
        (OneTimeTokenRow.account_id == account_id) & OneTimeTokenRow.used_at.is_null()
    ).execute()
    if keep is None:
        sign_out_everywhere(account_id, now)
    else:
        sessions.revoke_of(account_id, now, keep=keep)
    audit.record(caller, "user.password-changed", account_id, now, workspace="")


def end_all(account_id: str, caller: Caller, now: int) -> None:
    """End all sign-ins of an account."""
    sign_out_everywhere(account_id, now)
    audit.record(caller, "user.signed-out", account_id, now, workspace="")


def sign_out_everywhere(account_id: str, now: int) -> None:
    """Make all refresh and access tokens of an account worthless; API keys stay."""
    counted = AccountRow.token_version + 1
    AccountRow.update(token_version=counted).where(AccountRow.id == account_id).execute()
    sessions.revoke_of(account_id, now)


def words(row: AccountRow) -> Iterable[str]:
    """What everybody would try as this person's password."""
    return (row.email, row.username, row.full_name)


def free_username(wanted: str) -> str:
    """``wanted``, made into a username that is not taken."""
    base = re.sub(r"[^a-z0-9._-]", "", wanted.lower()).lstrip("._-")[:50] or "user"
    return next(name for name in _numbered(base) if not _is_id(name) and named(name) is None)


def _is_id(who: str) -> bool:
    return ID_PATTERN.fullmatch(who) is not None


def _numbered(base: str) -> Iterator[str]:
    yield base
    number = 2
    while True:
        yield f"{base}-{number}"
        number += 1
