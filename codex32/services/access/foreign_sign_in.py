"""Signing in at an OpenID provider: the authorization code flow with PKCE, state and nonce.

Who the provider shows to be there becomes an account like this: the one that this provider's
subject was linked to; else, if both the provider and this installation hold the address to be
verified, the account with this address, which is linked; else, where the rules allow it, a new
one. An account whose address nobody vouches for is never handed to whoever owns the address,
and never the other way round.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlencode, urlsplit

from codex32.kernel.account_rows import AccountRow, IdentityRow, OidcFlowRow
from codex32.kernel.caller import Caller
from codex32.kernel.clock import Clock
from codex32.kernel.database import Door
from codex32.services.access import accounts, sessions
from codex32.services.access.faults import ProviderRefused
from codex32.services.access.provider import Identity, Provider
from codex32.services.access.sessions import Client
from codex32.services.access.signing_in import SignIn, Tokens, as_user
from codex32.services.access.tokens import digest
from codex32.services.safe import audit

#: How long somebody may take at the provider.
FLOW_SECONDS = 600


@dataclass(frozen=True, slots=True)
class ForeignRules:
    """Who may sign in so.

    Attributes:
      domains: Of the addresses; None allows all.
      create: Whether those without an account get one.
    """

    domains: tuple[str, ...] | None = None
    create: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that begins.

    Attributes:
      url: Where the browser goes.
      browser: What the browser keeps, and shows when it comes back.
    """

    url: str
    browser: str = field(repr=False)


class ForeignSignIn:
    """Lets people in whom the provider knows."""

    def __init__(
        self, door: Door, clock: Clock, provider: Provider, rules: ForeignRules, sign_in: SignIn
    ) -> None:
        self._door, self._clock = door, clock
        self._provider, self._rules, self._sign_in = provider, rules, sign_in

    async def start(self) -> Flow:
        """Begin.

        Raises:
          ProviderFailed: The provider is not reached.
        """
        url = await self._provider.endpoint("authorization_endpoint")
        state, nonce, verifier, browser = (secrets.token_urlsafe(32) for _ in range(4))
        now = self._clock.micros()
        await self._door.write(partial(_begin, state, nonce, verifier, browser, now))
        known = self._provider.client
        query = {
            "response_type": "code",
            "client_id": known.client_id,
            "redirect_uri": known.redirect_url,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(url).query else "?"
        return Flow(f"{url}{joint}{urlencode(query)}", browser)

    async def finish(
        self, state: str, code: str, browser: str, client: Client, caller: Caller
    ) -> Tokens:
        """Let in who comes back from the provider.

        Raises:
          ProviderFailed: The provider is not reached.
          ProviderRefused: It does not say so, or they may not.
        """
        flow = await self._door.write(partial(_take, state, self._clock.micros()))
        # Else somebody could be signed in, in their own browser, as somebody else.
        if flow is None or not hmac.compare_digest(flow.browser, digest(browser)):
            raise ProviderRefused("this sign-in was not begun here, or took too long; begin again")
        token = await self._provider.exchange(code, flow.verifier)
        now = self._clock.micros()
        identity = await self._provider.identity(token, flow.nonce, now // 1_000_000)
        self._require_domain(identity)
        opening = self._sign_in.opening("oidc", client)

        def write() -> AccountRow:
            account = _account_of(identity, self._rules.create, caller, now)
            sessions.open_session(account, opening, as_user(caller, account), now)
            return account

        account = await self._door.write(write)
        return await self._sign_in.tokens(account, opening.id, opening.token, opening.expires_at)

    def _require_domain(self, identity: Identity) -> None:
        domains = self._rules.domains
        if domains is None:
            return
        domain = identity.email.rpartition("@")[2]
        if not identity.email_verified or domain not in {each.lower() for each in domains}:
            raise ProviderRefused("people with your address do not sign in here")


def _begin(state: str, nonce: str, verifier: str, browser: str, now: int) -> None:
    OidcFlowRow.delete().where(OidcFlowRow.expires_at < now).execute()
    OidcFlowRow.insert(
        digest=digest(state),
        browser=digest(browser),
        nonce=nonce,
        verifier=verifier,
        expires_at=now + FLOW_SECONDS * 1_000_000,
    ).on_conflict_ignore().execute()


def _take(state: str, now: int) -> OidcFlowRow | None:
    """The sign-in that has this state, once."""
    row = OidcFlowRow.get_or_none(OidcFlowRow.digest == digest(state))
    if row is None:
        return None
    gone = OidcFlowRow.delete().where(OidcFlowRow.digest == row.digest).execute()
    return row if gone and row.expires_at > now else None


def _account_of(identity: Identity, create: bool, caller: Caller, now: int) -> AccountRow:
    linked = IdentityRow.get_or_none(
        (IdentityRow.issuer == identity.issuer) & (IdentityRow.subject == identity.subject)
    )
    if linked is not None:
        account = AccountRow.get_or_none(AccountRow.id == linked.account_id)
        if account is None or not account.active:
            raise ProviderRefused("your account cannot be used")
        return account
    if not identity.email_verified or not accounts.EMAIL.fullmatch(identity.email):
        raise ProviderRefused("the provider does not vouch for your address")
    account = AccountRow.get_or_none(AccountRow.email == identity.email)
    if account is None:
        if not create:
            raise ProviderRefused("you have no account here; ask an administrator for one")
        account = _made(identity, caller, now)
    elif not account.active or not account.email_verified:
        raise ProviderRefused("the account with your address cannot be linked")
    _link(identity, account, caller, now)
    return account


def _made(identity: Identity, caller: Caller, now: int) -> AccountRow:
    username = accounts.free_username(identity.email.partition("@")[0])
    new = accounts.NewAccount(identity.email, username, identity.name[:200], email_verified=True)
    return accounts.create(new, caller, now)


def _link(identity: Identity, account: AccountRow, caller: Caller, now: int) -> None:
    IdentityRow.insert(
        issuer=identity.issuer, subject=identity.subject, account_id=account.id, created_at=now
    ).on_conflict_ignore().execute()
    told = {"issuer": identity.issuer}
    audit.record(caller, "user.linked", account.id, now, change=told, workspace="")


def _challenge(verifier: str) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    )
