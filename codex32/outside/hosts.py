"""Host names as bots allow them, in one normal form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from yarl import URL

_HOST = re.compile(r"[a-z0-9_.:-]+")
_PORT = re.compile(r"^(?P<host>\[[^\]]*\]|[^:]*):(?P<port>\d{1,5})$")


def normal_host(host: str) -> str:
    """Lower case, IDNA, without brackets or the root's dot.

    Raises:
      ValueError: It is no host.
    """
    bare = host.strip().removeprefix("[").removesuffix("]")
    normal = (URL.build(scheme="http", host=bare).raw_host or "").rstrip(".")
    if not _HOST.fullmatch(normal):
        raise ValueError(f"{host!r} is no host; write for example api.example.com")
    return normal


@dataclass(frozen=True, slots=True)
class HostPattern:
    """``example.com``, ``*.example.com`` (all names below it, not itself), ``host:port``, an IP.

    Attributes:
      suffix: For a star, what a name must end with, dot included; else empty.
      port: The only port that fits, or None for any.
    """

    host: str
    suffix: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """The pattern of an entry in ``allow.hosts``.

        Raises:
          ValueError: It is no such entry.
        """
        match = _PORT.match(text.strip())
        # More than one colon outside brackets is an IPv6 address.
        host, port = (match["host"], int(match["port"])) if match else (text, None)
        if host.startswith("*."):
            return cls("", "." + normal_host(host[len("*.") :]), port)
        return cls(normal_host(host), "", port)

    def fits(self, host: str, port: int) -> bool:
        """Whether a normal host and a port are meant."""
        if self.port not in (None, port):
            return False
        if not self.suffix:
            return host == self.host
        # Names end in a letter; below a number there are no names.
        return host.endswith(self.suffix) and not host[-1].isdigit()


def parse_patterns(entries: Iterable[str]) -> tuple[HostPattern, ...]:
    """The patterns of all entries; one that cannot be read permits nothing."""
    patterns = []
    for entry in entries:
        try:
            patterns.append(HostPattern.parse(entry))
        except ValueError:
            continue
    return tuple(patterns)
