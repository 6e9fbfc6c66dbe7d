"""A notification as a message of mail."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any

from codex32 import Notification, ProviderRejected

_MESSAGE_ID = re.compile(r"<[^\s<>@]{1,200}@[^\s<>@]{1,200}>")
#: Of what mail can carry as a file; a message within a message is no file.
_TYPE = re.compile(r"(application|audio|font|image|model|text|video)/([a-zA-Z0-9.+-]{1,100})")
_LONGEST_SUBJECT, _LONGEST_NAME = 200, 200
_MOST_REFERENCES = 20
#: Of seven bits: nobody asks the server whether it takes eight.
_POLICY = SMTP.clone(cte_type="7bit")


def compose(
    notification: Notification,
    recipients: Sequence[str],
    *,
    copies: Sequence[str] = (),
    sender: str,
    domain: str,
    now: datetime,
) -> EmailMessage:
    """The message; its id follows from the notification's key, so that tries share it.

    Raises:
      ProviderRejected: ``reply_to`` is no id of a message, or an attachment is none.
    """
    message = EmailMessage(policy=_POLICY)
    name, address = parseaddr(sender)
    message["From"] = Address(_line(name), addr_spec=address)
    for name, addresses in (("To", recipients), ("Cc", copies)):
        if addresses:
            message[name] = ", ".join(addresses)
    first, _, _ = notification.text.strip().partition("\n")
    message["Subject"] = _line(notification.title or first or "Codex-32")[:_LONGEST_SUBJECT]
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id(notification.idempotency_key, domain)
    # So that no machine that is away on holiday answers a machine (RFC 3834).
    message["Auto-Submitted"] = "auto-replied" if notification.reply_to else "auto-generated"
    if notification.reply_to:
        if not _MESSAGE_ID.fullmatch(notification.reply_to):
            raise ProviderRejected("reply_to is no id of a message: <…@…>")
        message["In-Reply-To"] = notification.reply_to
        message["References"] = " ".join(_thread(notification))
    message.set_content(_clean(notification.text) or "\n")
    if notification.html:
        message.add_alternative(_clean(notification.html), subtype="html")
    for each in _own(notification, "attachments"):
        _attach(message, each)
    return message


def _own(notification: Notification, name: str) -> list[Any]:
    """A list in ``data.email``; empty where there is none."""
    own = notification.data.get("email")
    given = own.get(name) if isinstance(own, dict) else None
    return given if isinstance(given, list) else []


def _attach(message: EmailMessage, given: Any) -> None:
    """Add a file, given as the trigger ``mail`` hands over those that came."""
    given = given if isinstance(given, dict) else {}
    name = _line(str(given.get("name") or "file")).replace("/", "_").replace("\\", "_")
    try:
        content = base64.b64decode(given["content"], validate=True)
    except (KeyError, TypeError, ValueError):
        raise ProviderRejected(
            f"the attachment {name!r} has no content in base 64; write "
            "data: {email: {attachments: [{name, type, content}]}}"
        ) from None
    found = _TYPE.fullmatch(str(given.get("type", "")))
    kind, sub = found.groups() if found else ("application", "octet-stream")
    message.add_attachment(content, maintype=kind, subtype=sub, filename=name[:_LONGEST_NAME])


def _thread(notification: Notification) -> list[str]:
    """The ids of the messages before, oldest first, as RFC 5322 has a reply name them.

    What ``data.email.references`` holds comes from outside: what is no id is left out.
    """
    known = [
        each
        for each in _own(notification, "references")
        if isinstance(each, str) and _MESSAGE_ID.fullmatch(each) and each != notification.reply_to
    ]
    # Of a long thread its beginning and its end are enough.
    if len(known) > _MOST_REFERENCES:
        known = [known[0], *known[1 - _MOST_REFERENCES :]]
    return [*known, notification.reply_to]


def message_id(key: str, domain: str) -> str:
    """The id of the message of a notification."""
    return f"<{hashlib.sha256(key.encode(errors='replace')).hexdigest()[:40]}@{domain}>"


def _line(text: str) -> str:
    """One line: what stands in a header must not begin another one."""
    return " ".join("".join(c if c.isprintable() else " " for c in _clean(text)).split())


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()
