"""Connections to the hosts of a bot: the name is checked, and the address when it is called."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codex32.outside.guard import GuardedSockets, PrivateHosts
from codex32.outside.hosts import HostPattern, normal_host, parse_patterns

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CONNECT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ways:
    """Connects to the hosts that ``allow.hosts`` names.

    Attributes:
      allowed: The bot's hosts.
      private: What operators permit beside public addresses.
    """

    allowed: tuple[HostPattern, ...]
    private: PrivateHosts

    @classmethod
    def of(cls, hosts: Iterable[str], private_hosts: Sequence[str]) -> Ways:
        """From the entries of ``allow.hosts`` and ``outside.private_hosts``."""
        return cls(parse_patterns(hosts), PrivateHosts.parse(private_hosts))

    async def connect(self, host: str, port: int) -> Streams:
        """Connect to a host by name or address.

        Raises:
          PermissionError: The bot may not speak to it, or none of its addresses is public.
          OSError: It cannot be reached.
        """
        try:
            name = normal_host(host)
        except ValueError as error:
            raise PermissionError(str(error)) from None
        if not any(pattern.fits(name, port) for pattern in self.allowed):
            raise PermissionError(f"{name} is not among the bot's hosts (allow.hosts)")
        loop = asyncio.get_running_loop()
        fault: OSError = OSError(f"{name} has no address")
        async with asyncio.timeout(_CONNECT_SECONDS):
            for info in await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM):
                try:
                    made = self._socket(name, port, info)
                except OSError as error:
                    fault = PermissionError(f"{name}: {error}")
                    continue
                try:
                    await loop.sock_connect(made, info[4])
                    return await asyncio.open_connection(sock=made)
                except OSError as error:
                    made.close()
                    fault = error
        raise fault

    def _socket(self, name: str, port: int, info: tuple[object, ...]) -> socket.socket:
        if not self.private.names_host(name, port):
            return GuardedSockets(self.private)(info)
        family, kind, protocol = info[:3]
        made = socket.socket(family, kind, protocol)  # type: ignore[arg-type]
        made.setblocking(False)
        return made
