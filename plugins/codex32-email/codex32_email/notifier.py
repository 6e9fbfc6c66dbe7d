"""Mail, handed to a server by SMTP."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from codex32 import (
    Clock,
    EffectUnknown,
    HttpClient,
    Notification,
    Notifier,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    Receipt,
    StepFault,
    SystemClock,
)
from codex32_email.message import compose
from codex32_email.server import MailServer, is_address

if TYPE_CHECKING:
    import aiosmtplib
    from aiosmtplib import SMTP

_MOST_RECIPIENTS = 50
_COPY = re.compile(r"(?i)\s*(cc|bcc):")
#: The status code of RFC 3463.
_FINER = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")


class Email(Notifier):
    """Writes to the addresses in the target, with commas between.

    Before one may stand ``cc:``, for a copy that all see, or ``bcc:``, for one that none do.
    It is sent to all of them or to none. The server is the operator's; bots name recipients.
    """

    name = "email"
    replies = True

    def __init__(self, server: MailServer, clock: Clock = SystemClock.shared) -> None:
        self._server, self._clock = server, clock

    async def send(
        self, notification: Notification, target: str, *, http: HttpClient, timeout_seconds: float
    ) -> Receipt:
        """Hand over once; ``id`` is the message's own, to which a reply may refer."""
        told = self._recipients(target)
        recipients = list(dict.fromkeys(address for _, address in told))
        message = compose(
            notification,
            [address for kind, address in told if kind == "to"],
            copies=[address for kind, address in told if kind == "cc"],
            sender=self._server.sender,
            domain=self._server.domain,
            now=self._clock.now(),
        )
        envelope_from = message["From"].addresses[0].addr_spec
        progress = _Progress()
        try:
            async with asyncio.timeout(timeout_seconds), self._session() as smtp:
                progress.stage = "the sender"
                await smtp.mail(envelope_from)
                for number, recipient in enumerate(recipients, 1):
                    progress.stage = f"recipient {number} of {len(recipients)}"
                    await smtp.rcpt(recipient)
                progress.stage, progress.handed_over = "the mail", True
                await smtp.data(message.as_bytes())
                progress.taken = True
        except Exception as error:
            # The server has answered for it; how it then says goodbye does not matter.
            if not progress.taken:
                raise _fault(error, progress) from None
        return Receipt(str(message["Message-ID"]))

    def _recipients(self, target: str) -> list[tuple[str, str]]:
        """Who is written to, each with ``to``, ``cc`` or ``bcc``."""
        told = [_told(each) for each in target.split(",") if each.strip()]
        recipients = [address for _, address in told]
        if not recipients or not all(map(is_address, recipients)):
            raise ProviderRejected(
                "the target must be addresses with commas between: a@example.com, b@example.com, "
                "cc: c@example.com"
            )
        if len(recipients) > _MOST_RECIPIENTS:
            raise ProviderRejected(f"one mail goes to at most {_MOST_RECIPIENTS} addresses")
        if not all(map(self._server.permits, recipients)):
            raise ProviderRejected(
                "the operator does not let bots write to this address; see the setting "
                "plugins.email.recipients"
            )
        return [(kind, _as_ascii(address)) for kind, address in told]

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[SMTP]:
        import aiosmtplib

        server = self._server
        context = None
        if server.security != "none":
            context = await asyncio.to_thread(ssl.create_default_context, cafile=server.ca_file)
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            timeout=None,  # the whole has one
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=context,
        )
        try:
            await smtp.connect()
            if server.user:
                await smtp.login(server.user, server.password)
            yield smtp
            await smtp.quit()
        finally:
            smtp.close()


def _told(part: str) -> tuple[str, str]:
    """How somebody is written to, and the address."""
    found = _COPY.match(part)
    return (found[1].lower(), part[found.end() :].strip()) if found else ("to", part.strip())


class _Progress:
    """How far a message has come."""

    stage = "the connection"
    handed_over = False
    taken = False


def _as_ascii(address: str) -> str:
    """The address as every mail server takes it."""
    name, _, domain = address.rpartition("@")
    try:
        return f"{name.encode('ascii').decode()}@{domain.encode('idna').decode()}"
    except UnicodeError:
        raise ProviderRejected(
            "an address has letters before the @ that mail servers do not take, or a domain that "
            "is none"
        ) from None


def _numbers(error: aiosmtplib.SMTPResponseException) -> str:
    """The reply without its words, which may quote addresses: ``550 5.1.1``."""
    finer = _FINER.match(error.message)
    return f"{error.code} {finer[0]}" if finer else str(error.code)


def _fault(error: Exception, progress: _Progress) -> StepFault:
    """What came of it."""
    import aiosmtplib

    if isinstance(error, StepFault):
        return error
    if isinstance(error, aiosmtplib.SMTPAuthenticationError) and error.code >= 500:
        return ProviderUnauthorized(f"the mail server does not accept the user ({error.code})")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        if error.code >= 500:
            return ProviderRejected(
                f"the mail server refused {progress.stage} ({_numbers(error)})"
            )
        return ProviderUnavailable(
            f"the mail server cannot take {progress.stage} now ({_numbers(error)})"
        )
    if progress.handed_over:
        return EffectUnknown("the mail server fell silent; it may have taken the mail")
    if "not supported" in str(error):  # of STARTTLS, aiosmtplib has no error of its own
        return ProviderRejected(
            "the mail server does not offer what the settings ask of it: STARTTLS, or a way to "
            "sign in"
        )
    for each in (error, error.__cause__):
        if isinstance(each, ssl.SSLCertVerificationError):
            told = f"the mail server's certificate cannot be trusted: {each.verify_message}"
            return ProviderRejected(f"{told}; see ca_file")
    if isinstance(error, TimeoutError):
        return ProviderUnavailable("the mail server did not answer in time; nothing was sent")
    return ProviderUnavailable("the mail server cannot be reached; nothing was sent")
