"""Which addresses may be connected to.

The check stands where sockets are made, so it sees what a name was resolved to at that very
moment: after a redirect, after a second answer of a rebinding name server, for an address
written in any of its notations.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, TypeAlias

from codex32.kernel.errors import CapabilityRefused
from codex32.outside.hosts import HostPattern

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

#: Global by the registry, yet each leads to an address hidden inside or to a relay.
_TUNNELS = tuple(
    ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "2001::/23", "3fff::/20")
)
#: The only block of IPv6 from which public addresses are given out.
_PUBLIC_V6 = ip_network("2000::/3")


class AddressRefused(OSError):
    """The guard made no socket. All carry one text, so that connectors raise the first of many."""

    def __init__(self, address: str) -> None:
        super().__init__("the address is not public")
        self.address = address


def refusal(host: str, port: int, address: str) -> CapabilityRefused:
    """What a bot is told of a host whose address is not public."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    led = f"{host} is" if host == address else f"{host} leads to {address}, which is"
    setting = f"outside: {{private_hosts: ['{place}']}}"
    message = f"{led} no public address; an operator can permit it with {setting}"
    return CapabilityRefused("hosts", host, message)


def unwrapped(text: str) -> Address:
    """The address, an IPv4 address inside an IPv6 one taken out of it."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def is_public(address: Address) -> bool:
    """Whether the address belongs to one machine on the public internet."""
    if address.version == 6 and address not in _PUBLIC_V6:
        return False
    if any(address in network for network in _TUNNELS if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class PrivateHosts:
    """What operators permit beside the public internet.

    Attributes:
      networks: Networks with the only port permitted there, or None for any.
      names: Names that may lead anywhere.
    """

    networks: tuple[tuple[Network, int | None], ...] = ()
    names: tuple[HostPattern, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> PrivateHosts:
        """Read ``127.0.0.1:8765``, ``[::1]:80``, ``10.0.0.0/8``, ``intranet.example``.

        Raises:
          ValueError: An entry is none of these.
        """
        networks: list[tuple[Network, int | None]] = []
        names: list[HostPattern] = []
        for entry in entries:
            if "/" in entry:
                networks.append((ip_network(entry), None))
                continue
            pattern = HostPattern.parse(entry)
            try:
                networks.append((ip_network(unwrapped(pattern.host)), pattern.port))
            except ValueError:
                names.append(pattern)
        return cls(tuple(networks), tuple(names))

    def holds(self, address: Address, port: int) -> bool:
        """Whether an address and port are permitted by number."""
        return any(
            address in network and wanted in (None, port)
            for network, wanted in self.networks
            if network.version == address.version
        )

    def permits(self, address: Address, port: int) -> bool:
        """Whether an address and port may be connected to: public, or permitted by number."""
        return is_public(address) or self.holds(address, port)

    def names_host(self, host: str, port: int) -> bool:
        """Whether a host is permitted by name, wherever it leads."""
        return any(pattern.fits(host, port) for pattern in self.names)


def surely_refused(host: str, port: int, private: PrivateHosts) -> bool:
    """Whether a host tells by itself that no connection to it will be made.

    So it is with addresses, in whatever notation, and with this machine's own name; what other
    names are resolved to is known only when they are.
    """
    host = host.rstrip(".").lower()
    if private.names_host(host, port):
        return False
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        address = unwrapped(host)
    except ValueError:
        try:  # 127.1, 2130706433, 0x7f000001: some resolvers take them
            address = ip_address(socket.inet_aton(host))
        except (OSError, ValueError):
            return False
    return not private.permits(address, port)


@dataclass(frozen=True, slots=True)
class GuardedSockets:
    """Makes sockets for connections to public addresses, and to what operators permit."""

    private: PrivateHosts

    def __call__(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for one resolved address, as ``TCPConnector(socket_factory=)`` wants it.

        Raises:
          AddressRefused: The address is not public and not permitted.
        """
        family, kind, protocol, _, (text, port, *_) = info
        address = unwrapped(text)
        if not self.private.permits(address, port):
            raise AddressRefused(str(address))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made
