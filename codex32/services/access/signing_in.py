"""Signing in, staying signed in and getting a new password: what strangers may ask for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from codex32.kernel.account_rows import AccountRow
from codex32.kernel.caller import Caller
from codex32.kernel.clock import Clock
from codex32.kernel.database import Door
from codex32.services.access import accounts, one_time, recognition, sessions, throttle
from codex32.services.access.accounts import NewAccount
from codex32.services.access.faults import (
    CodeInvalid,
    CredentialsInvalid,
    GrantNotOffered,
    PasswordWrong,
    TooManyTries,
)
from codex32.services.access.one_time import Code
from codex32.services.access.passwords import Passwords
from codex32.services.access.recogniser import Recogniser
from codex32.services.access.sessions import Client, Opening
from codex32.services.access.signing import Claims, Signer
from codex32.services.access.tokens import new_token
from codex32.services.safe import audit

log = logging.getLogger(__name__)

#: Sends a code to an account's address.
Mail = Callable[[AccountRow, Code], Awaitable[None]]

_WRONG = "the name or the password is wrong, or the account cannot be used"


@dataclass(frozen=True, slots=True)
class Rules:
    """How people sign in.

    Attributes:
      access_seconds: How long an access token is good.
      session_seconds: After so long a sign-in ends, however often it was refreshed.
    """

    password_grant: bool = True
    registration: bool = False
    access_seconds: int = 900
    session_seconds: int = 30 * 86400


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client gets."""

    access_token: str
    refresh_token: str
    expires_in: int


class SignIn:
    """Lets people in.

    Args:
      door: To the rows.
      recogniser: Forgets whom it believed when something changes.
      clock: The house's.
      passwords: Makes and verifies hashes.
      signer: Makes access tokens.
      rules: What is offered.
      mail: Sends codes; None where no mail can be sent.
    """

    def __init__(
        self,
        door: Door,
        recogniser: Recogniser,
        clock: Clock,
        passwords: Passwords,
        signer: Signer,
        rules: Rules,
        mail: Mail | None = None,
    ) -> None:
        self._door, self._change, self._clock = door, recogniser.change, clock
        self._passwords, self._signer = passwords, signer
        self.rules, self._mail = rules, mail
        self._mails: set[asyncio.Task[None]] = set()

    async def by_password(self, who: str, password: str, client: Client, caller: Caller) -> Tokens:
        """Sign in with a password.

        Raises:
          GrantNotOffered: It is switched off.
          TooManyTries: Too many were wrong.
          CredentialsInvalid: The account, the password or its state; which is not told.
        """
        if not self.rules.password_grant:
            raise GrantNotOffered("signing in with a password is switched off")
        account = await self._door.read(accounts.named, who)
        # Name and address of an account count together; what is nobody's counts as it was typed.
        tried = account.id if account else who
        await self._may_try(tried, client)
        verdict = await self._passwords.verify(
            password, account.password_hash if account else None
        )
        if account is None or not account.active or not verdict.fits:
            await self._door.write(partial(self._refused, tried, account, client, caller))
            raise CredentialsInvalid(_WRONG)
        outdated = await self._passwords.hash_again(password) if verdict.outdated else None
        return await self._open(account, outdated, client, caller)

    async def _may_try(self, who: str, client: Client) -> None:
        now = self._clock.micros()
        if seconds := await self._door.read(throttle.wait, who, client.address, now):
            raise TooManyTries(max(seconds, 1.0))

    def _refused(
        self, who: str, account: AccountRow | None, client: Client, caller: Caller
    ) -> None:
        now = self._clock.micros()
        throttle.failed(who, client.address, now)
        # What was typed may be a password that went into the wrong field.
        subject = account.id if account else "an unknown account"
        told = {"client": client.name}
        audit.record(
            caller, "session.refused", subject, now, change=told, workspace="", outcome="refused"
        )

    async def _open(
        self, account: AccountRow, password_hash: str | None, client: Client, caller: Caller
    ) -> Tokens:
        opening = self.opening("password", client)

        def write() -> float | None:
            now = self._clock.micros()
            if seconds := throttle.wait(account.id, client.address, now):
                return seconds
            if not _unchanged(account, password_hash):
                return None
            throttle.succeeded(account.id, client.address)
            if password_hash is not None:
                mine = AccountRow.id == account.id
                AccountRow.update(password_hash=password_hash).where(mine).execute()
            sessions.open_session(account, opening, as_user(caller, account), now)
            return 0.0

        seconds = await self._door.write(write)
        if seconds is None:
            raise CredentialsInvalid(_WRONG)
        if seconds:
            raise TooManyTries(max(seconds, 1.0))
        return await self.tokens(account, opening.id, opening.token, opening.expires_at)

    def opening(self, method: str, client: Client) -> Opening:
        """A sign-in that begins now."""
        end = self._clock.micros() + self.rules.session_seconds * 1_000_000
        return Opening("oidc" if method == "oidc" else "password", client, end)

    async def tokens(
        self, account: AccountRow, session_id: str, refresh: str, session_end: int
    ) -> Tokens:
        """The tokens of a sign-in; the access token never outlives it."""
        now = self._clock.micros() // 1_000_000
        seconds = max(min(self.rules.access_seconds, session_end // 1_000_000 - now), 1)
        claims = Claims(account.id, session_id, account.token_version, now + seconds)
        # Off the loop: the first one loads what signs, which takes a while.
        access = await asyncio.to_thread(self._signer.sign, claims, now)
        return Tokens(access, refresh, seconds)

    async def by_refresh_token(self, token: str, client: Client, caller: Caller) -> Tokens:
        """Stay signed in: a refresh token for new ones.

        Raises:
          CredentialsInvalid: It is unknown, used, too old or revoked.
        """
        successor = new_token("refresh")
        rotation = await self._change(
            lambda: sessions.rotate(token, successor, client, caller, self._clock.micros())
        )
        if rotation.session is None or rotation.account is None:
            raise CredentialsInvalid("the refresh token is not, or no longer, good")
        return await self.tokens(
            rotation.account, rotation.session.id, successor, rotation.session.expires_at
        )

    async def end(self, token: str, caller: Caller) -> None:
        """End the sign-in that a refresh or access token belongs to; others are passed by."""
        now = self._clock.micros()
        if token.count(".") != 2:
            await self._change(partial(sessions.revoke_token, token, caller, now))
            return
        try:
            found = await self._door.read(self._holder, token, now)
        except CredentialsInvalid:
            return
        signed_in = replace(found, address=caller.address, request_id=caller.request_id)
        await self._change(partial(sessions.end, found.id, str(found.session_id), signed_in, now))

    def _holder(self, access_token: str, now: int) -> Caller:
        claims = self._signer.read(access_token, now // 1_000_000)
        return recognition.by_claims(claims, None, now).caller

    async def confirm(self, account_id: str, password: str, caller: Caller) -> AccountRow:
        """Have somebody who is signed in show once more who they are.

        Raises:
          TooManyTries: Too many were wrong.
          PasswordWrong: It is not the account's password.
        """
        client = Client("", caller.address)
        account = await self._door.read(accounts.get, account_id)
        await self._may_try(account.id, client)
        if not (await self._passwords.verify(password, account.password_hash)).fits:
            await self._door.write(partial(self._refused, account.id, account, client, caller))
            raise PasswordWrong("the current password is another one")
        return account

    async def register(
        self, new: NewAccount, password: str, client: Client, caller: Caller
    ) -> AccountRow:
        """Make a stranger an account, which belongs to no workspace.

        Raises:
          GrantNotOffered: It is switched off.
          TooManyTries: Too many were made from there.
          AccountTaken: The address or username is another's.
          PasswordRefused: The password is easily guessed.
        """
        if not self.rules.registration:
            raise GrantNotOffered("nobody can register here; ask an administrator for an account")
        await self._may_try("register", client)
        names = (new.email, new.username, new.full_name)
        hashed = await self._passwords.hash(password, names)
        new = replace(new, password_hash=hashed)
        now = self._clock.micros()
        # By itself, so that whoever only asks which addresses are taken is counted, too.
        await self._door.write(partial(throttle.failed, "register", client.address, now))
        return await self._door.write(partial(accounts.create, new, caller, now))

    async def forgot(self, email: str, client: Client, caller: Caller) -> None:
        """Have a code mailed to an address, if there is a usable account; nothing tells whether.

        Raises:
          TooManyTries: It was asked for too often.
        """
        who = f"mail {email}"
        await self._may_try(who, client)
        now = self._clock.micros()
        await self._door.write(partial(throttle.failed, who, client.address, now))
        # Answered before anything is looked up: not even the time tells whether there is one.
        task = asyncio.create_task(self._send_code(email, caller))
        self._mails.add(task)
        task.add_done_callback(self._mails.discard)

    async def _send_code(self, email: str, caller: Caller) -> None:
        try:
            account = await self._door.read(accounts.named, email) if "@" in email else None
            if self._mail is None:
                log.warning("a code was asked for by mail, but auth.mail names no notifier")
            elif account is not None and account.active:
                code, now = Code("mail"), self._clock.micros()
                await self._door.write(partial(one_time.issue, account.id, code, caller, now))
                await self._mail(account, code)
        except Exception as error:
            log.error("a code could not be mailed: %s", type(error).__name__)

    async def close(self) -> None:
        """Wait for the mails that are under way."""
        await asyncio.gather(*self._mails)

    async def reset(self, code: str, password: str, client: Client, caller: Caller) -> AccountRow:
        """Set the password that a one-time code is good for.

        Raises:
          TooManyTries: Too many codes were wrong.
          CodeInvalid: The code is not good.
          PasswordRefused: The password is easily guessed; the code is still good.
        """
        await self._may_try("code", client)
        try:
            account = await self._door.read(one_time.holder, code, self._clock.micros())
        except CodeInvalid:
            now = self._clock.micros()
            await self._door.write(partial(throttle.failed, "code", client.address, now))
            raise
        hashed = await self._passwords.hash(password, accounts.words(account))
        now = self._clock.micros()
        known = as_user(caller, account)
        return await self._change(partial(one_time.redeem, code, hashed, known, now))


def _unchanged(account: AccountRow, made_anew: str | None) -> bool:
    """Whether the password that was verified is still the one that counts."""
    row = AccountRow.get_or_none(AccountRow.id == account.id)
    if row is None or not row.active or row.token_version != account.token_version:
        return False
    # The second is that of a commit whose answer was lost.
    return row.password_hash in (account.password_hash, made_anew or account.password_hash)


def as_user(caller: Caller, account: AccountRow) -> Caller:
    """A stranger who has just shown who they are."""
    return replace(caller, kind="user", id=account.id, name=account.username, user_id=account.id)
