"""Where requests come from, and which pages of other sites may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import web

_ASKED = "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, "
_ASKED += "x-request-id, x-workspace"
_TOLD = "etag, idempotent-replayed, location, ratelimit-limit, ratelimit-remaining, "
_TOLD += "ratelimit-reset, retry-after, x-request-id"


class Peers:
    """Tells addresses: that of the connection, or what a trusted proxy says of it.

    Args:
      proxies: Networks of proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` count.
    """

    def __init__(self, proxies: Sequence[str] = ()) -> None:
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(each) for each in proxies]

    def address(self, request: web.Request) -> str:
        """Where the request comes from."""
        peer = request.remote or ""
        if not self.is_proxy(peer):
            return peer
        # Each proxy appends who came to it, so the last that is none of ours is the caller; what
        # stands before it, the caller made up.
        for value in reversed(request.headers.getall("X-Forwarded-For", ())):
            for told in reversed(value.split(",")):
                peer = told.strip()
                if not self.is_proxy(peer):
                    return peer if _is_address(peer) else ""
        return peer

    def is_secure(self, request: web.Request) -> bool:
        """Whether the caller's connection is encrypted."""
        if self.is_proxy(request.remote or ""):
            return request.headers.get("X-Forwarded-Proto", "").lower() == "https"
        return request.secure

    def is_proxy(self, address: str) -> bool:
        """Whether a proxy that is trusted has this address."""
        if not self._proxies or not _is_address(address):
            return False
        return any(ip_address(address) in each for each in self._proxies)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def source_of(address: str) -> str:
    """What an address is counted as: itself; with IPv6 its /64, all of which one has as easily."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found) >> 64 << 64, 64)))


class Origins:
    """Which pages of other sites may call: those that are named, letter by letter, and no other.

    Callers prove who they are by a header that no browser sends by itself, so nothing is ever
    allowed with credentials.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = frozenset(allowed)

    def headers(self, request: web.Request) -> Mapping[str, str]:
        """What the browser is told with an answer."""
        if not self._allowed:
            return {}
        origin = request.headers.get("Origin")
        if origin not in self._allowed:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _TOLD,
            "Vary": "Origin",
        }

    def preflight(self, request: web.Request, methods: Sequence[str]) -> web.Response | None:
        """The answer to a browser that asks before it lets a page call; None if it is none."""
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asks or request.headers.get("Origin") not in self._allowed:
            return None
        allowed = {
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": _ASKED,
            "Access-Control-Max-Age": "600",
        }
        return web.Response(status=204, headers=allowed)
