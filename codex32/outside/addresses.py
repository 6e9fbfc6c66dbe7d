"""Guarded addresses for drivers that open their sockets themselves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

from codex32.kernel.errors import ProviderUnavailable
from codex32.outside.guard import PrivateHosts, refusal, unwrapped

_RESOLVE_SECONDS = 10.0


class GuardedAddresses:
    """Resolves names under the policy of the operator.

    What was resolved is what is connected to: a second answer of a rebinding name server is never
    asked for.

    Raises:
      ValueError: An entry of ``private_hosts`` cannot be read.
    """

    def __init__(self, private_hosts: Iterable[str] = ()) -> None:
        self._private = PrivateHosts.parse(private_hosts)

    async def __call__(self, host: str, port: int) -> str:
        """An address of the host that may be connected to.

        Raises:
          CapabilityRefused: It leads to no public address, and no operator permits that.
          ProviderUnavailable: The name has no address.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            raise ProviderUnavailable(f"{host} cannot be found: the name has no address") from None
        # One is tried, and what listens at the other kind alone is rare.
        infos.sort(key=lambda info: info[0] != socket.AF_INET)
        refused, named = host, self._private.names_host(host, port)
        for text in (str(info[4][0]) for info in infos):
            address = unwrapped(text)
            if named or self._private.permits(address, port):
                return text
            refused = str(address)
        raise refusal(host, port, refused)
