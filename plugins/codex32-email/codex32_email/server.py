"""The mail server that the operator's settings describe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from codex32 import Problem, did_you_mean

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_KEYS = (
    "host",
    "port",
    "security",
    "user",
    "password",
    "password_file",
    "sender",
    "recipients",
    "ca_file",
)
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over, and as whom.

    Attributes:
      security: ``starttls``, which is insisted on, ``tls`` or ``none``.
      sender: ``Name <address>``, or an address.
      recipients: Patterns of addresses that may be written to: ``*@example.com``.
      ca_file: Certificates of authorities to trust instead of the system's.
    """

    host: str
    port: int
    security: str
    user: str
    sender: str
    recipients: tuple[str, ...]
    ca_file: str | None
    password: str = field(repr=False, default="")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> MailServer:
        """What the settings say; they have been found to be without :func:`problems`."""
        security = str(config.get("security", "starttls"))
        password = str(config.get("password", ""))
        if path := config.get("password_file"):
            password = Path(path).read_text(encoding="utf-8").strip("\r\n")
        return cls(
            host=str(config["host"]),
            port=int(config.get("port", _PORTS[security])),
            security=security,
            user=str(config.get("user", "")),
            sender=str(config["sender"]),
            recipients=tuple(config.get("recipients", ("*",))),
            ca_file=config.get("ca_file"),
            password=password,
        )

    def permits(self, address: str) -> bool:
        """Whether the operator lets bots write to an address."""
        return any(fnmatchcase(address.lower(), each.lower()) for each in self.recipients)

    @property
    def domain(self) -> str:
        """The sender's, for the ids of messages."""
        return parseaddr(self.sender)[1].rpartition("@")[2]


def problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the settings."""
    for key in config.keys() - set(_KEYS):
        yield Problem(f"{key!r} is no setting{did_you_mean(key, _KEYS)}", key)
    if "host" not in config:
        if config:
            yield Problem("names no mail server; write host", "host")
        return
    security = config.get("security", "starttls")
    if security not in _PORTS:
        yield Problem(f"{security!r} is none of starttls, tls, none", "security")
    if not is_address(parseaddr(str(config.get("sender", "")))[1]):
        yield Problem(
            "must be the address that mail comes from: Bots <bots@example.com>", "sender"
        )
    port = config.get("port", 25)
    if not (str(port).isdigit() and 0 < int(port) < 65536):
        yield Problem(f"{port!r} is no port", "port")
    if not isinstance(config.get("recipients", []), list | tuple):
        yield Problem("must be a list of patterns: ['*@example.com']", "recipients")
    if "password" in config and "password_file" in config:
        yield Problem("write password or password_file, not both", "password")
    if ("user" in config) != ("password" in config or "password_file" in config):
        yield Problem("user and password go together", "user")
    if security == "none" and "user" in config and not _is_here(str(config["host"])):
        yield Problem(
            "a password would cross the network readable; write starttls or tls", "security"
        )
    for key in ("password_file", "ca_file"):
        if key in config and not Path(str(config[key])).is_file():
            yield Problem("there is no such file", key)


def is_address(text: str) -> bool:
    """Whether a text is one address, and nothing that could be more."""
    return text.isprintable() and _ADDRESS.fullmatch(text) is not None


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
