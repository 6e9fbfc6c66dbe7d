"""The parts that let people in, put together when they are first needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from codex32.kernel.clock import Clock
from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.notifier import Notifier
from codex32.kernel.database import Door
from codex32.services.access.foreign_sign_in import ForeignRules, ForeignSignIn
from codex32.services.access.mailing import Mailer
from codex32.services.access.passwords import Passwords
from codex32.services.access.provider import Client, Provider, private_host
from codex32.services.access.recogniser import Recogniser
from codex32.services.access.signing import Signer
from codex32.services.access.signing_in import Rules, SignIn
from codex32.services.safe.keyring import KeyRing


@dataclass
class Access:
    """What the API and the command line need to let people in.

    Attributes:
      ring: The installation's keys, which sign access tokens.
      rules: How people sign in.
      notifier: Mails codes; None where nothing does.
      provider: What an OpenID provider knows this installation by; None where there is none.
      foreign_rules: Whom it may send.
      way_out: Makes a way to other machines, and to this private host (``HOST:PORT``).
    """

    door: Door
    clock: Clock
    ring: Callable[[], KeyRing]
    rules: Rules
    way_out: Callable[[str | None], HttpClient]
    notifier: Notifier | None = None
    provider: Client | None = None
    foreign_rules: ForeignRules = field(default_factory=ForeignRules)

    @cached_property
    def passwords(self) -> Passwords:
        """Makes and verifies hashes of passwords."""
        return Passwords()

    @cached_property
    def signer(self) -> Signer:
        """Makes and reads access tokens."""
        return Signer(self.ring)

    @cached_property
    def recogniser(self) -> Recogniser:
        """Finds who is behind a token."""
        return Recogniser(self.door, self.signer, self.clock)

    @cached_property
    def sign_in(self) -> SignIn:
        """Lets people in by password and refresh token."""
        mail = None
        if self.notifier is not None:
            mail = Mailer(self.notifier, self.way_out(None)).send
        return SignIn(
            self.door,
            self.recogniser,
            self.clock,
            self.passwords,
            self.signer,
            self.rules,
            mail,
        )

    @cached_property
    def foreign(self) -> ForeignSignIn | None:
        """Lets people in whom the OpenID provider knows."""
        if self.provider is None:
            return None
        # Who set the issuer permits its host, wherever it stands.
        http = self.way_out(private_host(self.provider.issuer))
        provider = Provider(self.provider, http)
        return ForeignSignIn(self.door, self.clock, provider, self.foreign_rules, self.sign_in)

    async def close(self) -> None:
        """Finish what is under way, before the event loop ends."""
        if "sign_in" in self.__dict__:
            await self.sign_in.close()
