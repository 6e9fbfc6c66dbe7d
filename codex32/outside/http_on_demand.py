"""The guarded HTTP client, imported when the first request is sent.

What it is made of takes 7 MB and a quarter of a second, which a worker whose bots speak to
nobody does without.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.outside.guard import PrivateHosts
from codex32.outside.hosts import parse_patterns

if TYPE_CHECKING:
    from codex32.outside.http import GuardedHttpClient


class HttpOnDemand(HttpClient):
    """Makes the process's one :class:`GuardedHttpClient` when somebody sends something.

    Itself it speaks to any public host, and to the private ones that operators permit.

    Args:
      private_hosts: What operators permit beside public addresses.

    Raises:
      ValueError: An entry of ``private_hosts`` cannot be read.
    """

    def __init__(self, private_hosts: Iterable[str] = ()) -> None:
        self._private_hosts = tuple(private_hosts)
        PrivateHosts.parse(self._private_hosts)
        self._client: GuardedHttpClient | None = None

    def for_hosts(self, hosts: Sequence[str]) -> HttpClient:
        """A client that speaks only to the hosts that ``allow.hosts`` names."""
        parse_patterns(hosts)
        return _ForHosts(self, hosts)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send to any public host."""
        return await (await self.client()).send(request)

    def anywhere(self) -> HttpClient:
        """A client that speaks to any public host, and to those that operators permit."""
        return _Anywhere(self)

    async def client(self) -> GuardedHttpClient:
        """The client; reading its modules holds up no event loop."""
        if self._client is None:
            module = await asyncio.to_thread(importlib.import_module, "codex32.outside.http")
            if self._client is None:  # two may have waited
                self._client = module.GuardedHttpClient(private_hosts=self._private_hosts)
        return self._client

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()


class _Anywhere(HttpClient):
    """The view of the house itself."""

    def __init__(self, demand: HttpOnDemand) -> None:
        self._demand = demand

    async def send(self, request: HttpRequest) -> HttpResponse:
        client = await self._demand.client()
        return await client.send(request)


class _ForHosts(HttpClient):
    """The view of one bot."""

    def __init__(self, demand: HttpOnDemand, hosts: Sequence[str]) -> None:
        self._demand, self._hosts = demand, hosts

    async def send(self, request: HttpRequest) -> HttpResponse:
        client = await self._demand.client()
        return await client.for_hosts(self._hosts).send(request)
