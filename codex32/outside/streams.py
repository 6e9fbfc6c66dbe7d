"""Guarded connections for what is not HTTP: names a bot allows, addresses that are public."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codex32.kernel.contracts.source import Connect
from codex32.kernel.errors import CapabilityRefused, ProviderUnavailable
from codex32.outside.guard import AddressRefused, GuardedSockets, PrivateHosts, refusal
from codex32.outside.hosts import HostPattern, parse_patterns

_CONNECT_SECONDS = 30.0


class GuardedStreams:
    """Opens connections under the policy of the operator.

    Raises:
      ValueError: An entry of ``private_hosts`` cannot be read.
    """

    def __init__(self, private_hosts: Iterable[str] = ()) -> None:
        self._private = PrivateHosts.parse(private_hosts)

    def for_hosts(self, hosts: Sequence[str]) -> Connect:
        """Connects to the hosts that ``allow.hosts`` names."""
        return _Allowed(self._private, parse_patterns(hosts))


@dataclass(frozen=True, slots=True)
class _Allowed:
    private: PrivateHosts
    allowed: tuple[HostPattern, ...]

    async def __call__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = f"{host}:{port}"
        if not any(pattern.fits(host, port) for pattern in self.allowed):
            remedy = f"permit it with allow: {{hosts: ['{place}']}}"
            message = f"{place} is not among the bot's hosts; {remedy}"
            raise CapabilityRefused("hosts", place, message)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await self._open(host, port, tls)
        except AddressRefused as refused:
            raise refusal(host, port, refused.address) from None
        except ssl.SSLError as error:
            raise ProviderUnavailable(
                f"{place} does not speak TLS as it should: {error.reason}"
            ) from None
        except (OSError, TimeoutError) as error:
            kind = type(error).__name__
            raise ProviderUnavailable(f"{place} cannot be reached: {kind}") from None

    async def _open(
        self, host: str, port: int, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        trusted = self.private.names_host(host, port)
        make = _plain if trusted else GuardedSockets(self.private)
        fault: OSError = OSError("the name has no address")
        for info in infos:
            try:
                sock = make(info)
            except AddressRefused as refused:
                fault = refused
                continue
            try:
                await loop.sock_connect(sock, info[4])
                name = host if tls is not None else None
                return await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name)
            except OSError as error:
                sock.close()
                fault = error
            except BaseException:
                sock.close()
                raise
        raise fault


def _plain(info: tuple[object, ...]) -> socket.socket:
    family, kind, protocol = info[:3]
    made = socket.socket(family, kind, protocol)  # type: ignore[arg-type]
    made.setblocking(False)
    return made
