"""Sending one-time codes through an installed notifier."""

from __future__ import annotations

from dataclasses import dataclass

from codex32.kernel.account_rows import AccountRow
from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.notifier import Notification, Notifier
from codex32.services.access.one_time import MAIL_SECONDS, Code
from codex32.services.access.tokens import digest

_TIMEOUT_SECONDS = 30.0
_TEXT = """\
Somebody, most likely you, asked for a new password for {name}.

This code sets it, once, within the next {minutes} minutes:

    {code}

    codex32 login --code {code}

If it was not you, there is nothing to do: without the code nothing changes.
"""


@dataclass(frozen=True, slots=True)
class Mailer:
    """Sends codes to the addresses of accounts."""

    notifier: Notifier
    http: HttpClient

    async def send(self, account: AccountRow, code: Code) -> None:
        """Send a code, once.

        Raises:
          ProviderError: It could not be sent.
        """
        text = _TEXT.format_map(
            {"name": account.username, "minutes": MAIL_SECONDS // 60, "code": code.text}
        )
        notification = Notification(
            text, title="Codex-32: your new password", idempotency_key=digest(code.text)
        )
        await self.notifier.send(
            notification, account.email, http=self.http, timeout_seconds=_TIMEOUT_SECONDS
        )
