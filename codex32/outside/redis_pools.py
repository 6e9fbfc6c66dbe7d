"""Connections to Redis, told of as a pool; the clients of a process count together."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from codex32.kernel.pools import Pool, pools

#: The name under which they are told of.
NAME = "redis"


class _Client(Protocol):
    @property
    def connection_pool(self) -> Any: ...


C = TypeVar("C", bound=_Client)


def watched(client: C) -> C:
    """``client``, of redis-py, sync or async, whose connections are told of from now on."""
    pools.watch(NAME, client.connection_pool, _look)
    return client


def _look(connections: Any) -> Pool:
    # The library tells them by no other name in all its versions. It makes a connection where
    # none is free: nobody waits for one.
    in_use = len(getattr(connections, "_in_use_connections", ()))
    return Pool(in_use + len(getattr(connections, "_available_connections", ())), in_use)
