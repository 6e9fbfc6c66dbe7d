"""The board in Redis; where Redis does not answer, each process has its own for a while."""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from codex32.kernel.contracts.board import Board, LocalBoard
from codex32.outside.redis_pools import watched

log = logging.getLogger(__name__)

T = TypeVar("T")
_PATIENCE_SECONDS = 0.25
#: So long nobody asks a Redis that did not answer.
_REST_SECONDS = 5.0
_PREFIX = "codex32:board:"


class RedisBoard(Board):
    """The board of all processes that share a Redis.

    Args:
      url: Where Redis is, asked at each connection: the bundled one may begin later than we do.
    """

    def __init__(self, url: Callable[[], str | None]) -> None:
        self._url = url
        self._local = LocalBoard()
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rest_until = 0.0

    async def read(self, keys: Sequence[str]) -> Sequence[str | None]:
        """What stands under each key."""

        async def ask(client: Any) -> Sequence[str | None]:
            found: Sequence[str | None] = await client.mget([_PREFIX + key for key in keys])
            return found

        return await self._ask(ask, lambda: self._local.read(keys))

    async def write(self, key: str, text: str, *, seconds: float) -> None:
        """Put ``text`` there for so long."""

        async def ask(client: Any) -> None:
            await client.set(_PREFIX + key, text, px=_millis(seconds))

        await self._local.write(key, text, seconds=seconds)
        await self._ask(ask, _nothing)

    async def claim(self, key: str, text: str, *, seconds: float) -> bool:
        """Put ``text`` there if nothing is."""

        async def ask(client: Any) -> bool:
            done = await client.set(_PREFIX + key, text, px=_millis(seconds), nx=True)
            return bool(done)

        return await self._ask(ask, lambda: self._local.claim(key, text, seconds=seconds))

    async def count(self, key: str, *, seconds: float) -> int:
        """Count one more."""

        async def ask(client: Any) -> int:
            async with client.pipeline() as pipe:
                pipe.set(_PREFIX + key, 0, px=_millis(seconds), nx=True)
                pipe.incr(_PREFIX + key)
                _, number = await pipe.execute()
            return int(number)

        return await self._ask(ask, lambda: self._local.count(key, seconds=seconds))

    async def wipe(self, keys: Sequence[str]) -> None:
        """Forget what stands there."""

        async def ask(client: Any) -> None:
            await client.delete(*(_PREFIX + key for key in keys))

        await self._local.wipe(keys)
        await self._ask(ask, _nothing)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(
        self, ask: Callable[[Any], Awaitable[T]], instead: Callable[[], Awaitable[T]]
    ) -> T:
        if time.monotonic() < self._rest_until or self._url() is None:
            return await instead()
        try:
            client = await self._connected()
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await ask(client)
        except Exception as error:
            self._rest_until = time.monotonic() + _REST_SECONDS
            log.warning("breakers are this process's own for a while: %s", type(error).__name__)
        return await instead()

    async def _connected(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Loaded where it does not hold up the loop, and does not use up the patience.
            redis = await asyncio.to_thread(importlib.import_module, "redis.asyncio")
            url = self._url()
            if url is None:
                raise ConnectionError("no Redis is running")
            # Else each connection looks up on disk which version of the library it tells.
            self._client = watched(redis.from_url(url, decode_responses=True, driver_info=None))
            self._loop = loop
        return self._client


async def _nothing() -> None:
    return None


def _millis(seconds: float) -> int:
    return max(int(seconds * 1000), 1)
