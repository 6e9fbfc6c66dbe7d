"""Mail that comes into a mailbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from codex32 import JSON, Problem, Source, TriggerType, parse_duration, parse_size
from codex32_mail.mailbox import Mailbox, MailboxSource

_PORTS = {"tls": 993, "starttls": 143, "none": 143}
_SHORTEST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 5.0, 1500.0
_LARGEST_BYTES = 10 * 1024 * 1024


class MailTrigger(TriggerType):
    """Answers each new message of an IMAP mailbox once."""

    name: ClassVar[str] = "mail"
    timed: ClassVar[bool] = False
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "description": "The mailbox, and how to sign in.",
        "required": ["host", "user", "password"],
        "properties": {
            "host": {
                "type": "string",
                "minLength": 1,
                "description": "The IMAP server; allow.hosts must name it, with its port.",
            },
            "port": {
                "type": "integer",
                "minimum": 1,
                "maximum": 65535,
                "description": "993 for tls, else 143.",
            },
            "security": {
                "enum": ["tls", "starttls", "none"],
                "default": "tls",
                "description": "How the connection is kept from others' eyes.",
            },
            "user": {"type": "string", "minLength": 1, "description": "Who signs in."},
            "password": {
                "type": "string",
                "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,127}$",
                "description": "Name of the secret that is the password.",
            },
            "mailbox": {"type": "string", "default": "INBOX", "description": "Which mailbox."},
            "poll": {
                "type": "string",
                "format": "duration",
                "default": "1m",
                "description": "How often to look where the server does not tell by itself.",
            },
            "max_bytes": {
                "type": ["string", "integer"],
                "default": "1MiB",
                "description": "Of a longer message, only the begin is read.",
            },
        },
        "examples": [
            {"host": "imap.example.com", "user": "bots@example.com", "password": "IMAP_PASSWORD"}
        ],
    }

    def __init__(self, ca_file: str | None = None) -> None:
        self._ca_file = ca_file

    def problems(self, config: JSON, timezone: str) -> Sequence[Problem]:
        """Times and sizes that are none, or too long and too large."""
        faults = []
        try:
            poll = parse_duration(config.get("poll", "1m"))
            if not _SHORTEST_POLL_SECONDS <= poll <= _LONGEST_POLL_SECONDS:
                faults.append(Problem("must be from 5s to 25m", path="poll", code="duration"))
        except ValueError as error:
            faults.append(Problem(str(error), path="poll", code="duration"))
        try:
            if not 1024 <= _size(config) <= _LARGEST_BYTES:
                faults.append(Problem("must be from 1KiB to 10MiB", path="max_bytes"))
        except ValueError as error:
            faults.append(Problem(str(error), path="max_bytes", code="size"))
        for name in ("user", "mailbox"):
            if not str(config.get(name, "")).isprintable():
                faults.append(Problem("must be printable text", path=name))
        return faults

    def next_fire_at(self, config: JSON, timezone: str, after: datetime) -> datetime | None:
        """Never: it has no times."""
        return None

    def source(self, config: JSON) -> Source | None:
        """The mailbox."""
        security = config.get("security", "tls")
        mailbox = Mailbox(
            host=config["host"],
            port=config.get("port", _PORTS[security]),
            security=security,
            user=config["user"],
            password=config["password"],
            name=config.get("mailbox", "INBOX"),
            poll_seconds=parse_duration(config.get("poll", "1m")),
            max_bytes=_size(config),
            ca_file=self._ca_file,
        )
        return MailboxSource(mailbox)

    def identity(self, config: JSON) -> JSON:
        """The mailbox: how often it is looked into changes nothing of what was read."""
        return {key: config.get(key) for key in ("host", "port", "user", "mailbox")}


def _size(config: JSON) -> int:
    value = config.get("max_bytes", "1MiB")
    return value if isinstance(value, int) else parse_size(value)
