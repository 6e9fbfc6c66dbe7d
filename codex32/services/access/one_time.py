"""Codes that let somebody set a password, once: the first way in, and a way back in.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from codex32.kernel.account_rows import AccountRow, OneTimeTokenRow
from codex32.kernel.caller import Caller
from codex32.services.access import accounts
from codex32.services.access.faults import CodeInvalid
from codex32.services.access.tokens import digest, new_token
from codex32.services.safe import audit

#: How long a code is good that was mailed, and one that somebody hands over.
MAIL_SECONDS, HAND_SECONDS = 3600, 86400


@dataclass(frozen=True, slots=True)
class Code:
    """A code to be given out.

    Attributes:
      purpose: ``mail`` goes to the account's address and proves it; ``hand`` is handed over.
    """

    purpose: Literal["mail", "hand"]
    text: str = field(default_factory=lambda: new_token("once"), repr=False)


def issue(account_id: str, code: Code, caller: Caller, now: int) -> None:
    """Make ``code`` good for an account; those of before are not any more."""
    mine = OneTimeTokenRow.account_id == account_id
    OneTimeTokenRow.delete().where(mine).execute()
    seconds = MAIL_SECONDS if code.purpose == "mail" else HAND_SECONDS
    OneTimeTokenRow.insert(
        digest=digest(code.text),
        account_id=account_id,
        purpose=code.purpose,
        created_at=now,
        expires_at=now + seconds * 1_000_000,
    ).execute()
    audit.record(
        caller, "user.code-issued", account_id, now, change={"by": code.purpose}, workspace=""
    )


def holder(text: str, now: int) -> AccountRow:
    """The account that a code is good for.

    Raises:
      CodeInvalid: It is good for none.
    """
    row = _good(text, now)
    account = AccountRow.get_or_none(AccountRow.id == row.account_id)
    if account is None or not account.active:
        raise CodeInvalid
    return account


def redeem(text: str, password_hash: str, caller: Caller, now: int) -> AccountRow:
    """Set the password of the account that a code is good for, and use the code up.

    Raises:
      CodeInvalid: It is good for none.
    """
    account = holder(text, now)
    row = _good(text, now)
    unused = (OneTimeTokenRow.digest == row.digest) & OneTimeTokenRow.used_at.is_null()
    if not OneTimeTokenRow.update(used_at=now).where(unused).execute():
        raise CodeInvalid
    if row.purpose == "mail":
        AccountRow.update(email_verified=True).where(AccountRow.id == account.id).execute()
    accounts.set_password(account.id, password_hash, caller, now)
    return account


def _good(text: str, now: int) -> OneTimeTokenRow:
    row = OneTimeTokenRow.get_or_none(OneTimeTokenRow.digest == digest(text))
    if row is None or row.used_at is not None or row.expires_at <= now:
        raise CodeInvalid
    return row


def first_way_in(code: Code, caller: Caller, now: int) -> bool:
    """On an installation without accounts, make the administrator's and give out a code for it.

    It has no password: without the code nobody can sign in. Whether it was made.
    """
    if AccountRow.select().exists():
        return False
    new = accounts.NewAccount(
        email="admin@localhost", username="admin", full_name="Administrator", admin=True
    )
    accounts.create(new, caller, now)
    issue(new.id, code, caller, now)
    return True
