"""The book of calls in Redis: a number a caller, gone once all calls may be made anew."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import redis

from codex32.kernel.contracts.call_book import CallBook, Calls
from codex32.outside.redis_pools import watched

#: When each would have all its calls again, by Redis's own clock, in microseconds.
_ADD = """
local told = redis.call('time')
local now = told[1] * 1000000 + told[2]
local left = {}
for i, key in ipairs(KEYS) do
    local full = math.max(tonumber(redis.call('get', key) or 0), now)
    full = full + ARGV[2 * i - 1] * ARGV[2 * i]
    redis.call('set', key, string.format('%.0f', full), 'px', math.ceil((full - now) / 1000) + 1)
    left[i] = full - now
end
return left
"""


class RedisCallBook(CallBook):
    """Calls in Redis. Callers stand there as digests, for some of them are addresses.

    Args:
      url: Of the Redis server: ``redis://…`` or ``unix://…``.
    """

    def __init__(self, url: str) -> None:
        self._client = watched(
            redis.Redis.from_url(
                url,
                socket_timeout=1,
                socket_connect_timeout=1,
                retry=None,
                health_check_interval=30,
            )
        )
        self._add = self._client.register_script(_ADD)

    def add(self, calls: Sequence[Calls]) -> Sequence[float]:
        """Write calls down, all in one round trip.

        Raises:
          RedisError: Redis does not answer.
        """
        numbers = [n for each in calls for n in (each.count, round(each.each_seconds * 1e6))]
        keys = [f"codex32:calls:{_digest(each.who)}" for each in calls]
        return [micros / 1e6 for micros in self._add(keys=keys, args=numbers)]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _digest(who: str) -> str:
    return hashlib.sha256(who.encode()).hexdigest()[:32]
