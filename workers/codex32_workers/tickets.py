"""The queue in Redis, in Dramatiq's own layout: a list of ids and a hash of messages.

A message says that an execution may run. It is a *ticket*: whoever draws one asks the database
for what is most urgent, and the database alone decides. So a ticket that is lost costs at most
one poll interval, one that comes twice costs a look, and a forged one nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import lru_cache

import dramatiq
import redis

from codex32.outside.redis_pools import watched

log = logging.getLogger(__name__)

NAMESPACE = "dramatiq"
QUEUE = "executions"
ACTOR = "execute"
#: The channel on which workers hear of cancellations.
CANCELLATIONS = f"{NAMESPACE}:cancel"
#: Stands for an id, and is none.
_PLACE = b"exe_in_a_pattern"
#: After a failure Redis is left alone this long: commits must not wait for a dead server.
REST_SECONDS = 1.0

# Applied twice, after a reply was lost, it adds nothing the second time.
_PUSH = """
for i = 1, #ARGV, 2 do
    if redis.call('hsetnx', KEYS[2], ARGV[i], ARGV[i + 1]) == 1 then
        redis.call('rpush', KEYS[1], ARGV[i])
    end
end
return redis.call('llen', KEYS[1])
"""

_DISCARD = """
local ids = redis.call('lpop', KEYS[1], ARGV[1]) or {}
if ARGV[2] ~= '' then ids[#ids + 1] = ARGV[2] end
if #ids > 0 then redis.call('hdel', KEYS[2], unpack(ids)) end
return #ids
"""


class Tickets:
    """Draws and hands out tickets. Every method may be called from any thread; none raises.

    Args:
      url: Of the Redis server: ``redis://…`` or ``unix://…``.
    """

    def __init__(self, url: str) -> None:
        self.client = watched(
            redis.Redis.from_url(
                url,
                socket_timeout=5,
                socket_connect_timeout=2,
                retry=None,
                health_check_interval=30,
            )
        )
        self._keys = [f"{NAMESPACE}:{QUEUE}", f"{NAMESPACE}:{QUEUE}.msgs"]
        self._push = self.client.register_script(_PUSH)
        self._discard = self.client.register_script(_DISCARD)
        self._rest_until = 0.0

    def push(self, execution_ids: Sequence[str]) -> None:
        """Add a ticket for each id."""
        if time.monotonic() < self._rest_until or not execution_ids:
            return
        arguments: list[str | bytes] = []
        for execution_id, encoded in zip(execution_ids, _encoded(execution_ids), strict=True):
            arguments += [execution_id, encoded]
        try:
            self._push(keys=self._keys, args=arguments)
        except redis.RedisError as error:
            self._rest(error)

    def wait(self, seconds: float) -> str | None:
        """Draw a ticket, waiting up to ``seconds`` for one; None where there is none."""
        if time.monotonic() < self._rest_until:
            time.sleep(min(seconds, REST_SECONDS / 4))
            return None
        try:
            drawn = self.client.blpop([self._keys[0]], timeout=seconds)
        except redis.RedisError as error:
            self._rest(error)
            return None
        if drawn is None:
            return None
        ticket = drawn[1]
        return ticket if isinstance(ticket, str) else ticket.decode(errors="replace")

    def discard(self, count: int, drawn: str | None = None) -> None:
        """Throw ``count`` tickets away, and the message of one that was drawn."""
        if time.monotonic() < self._rest_until or (count <= 0 and drawn is None):
            return
        try:
            self._discard(keys=self._keys, args=[max(count, 0), drawn or ""])
        except redis.RedisError as error:
            self._rest(error)

    def cancel(self, execution_ids: Sequence[str]) -> None:
        """Tell workers that listen to look whether these shall be cancelled."""
        if time.monotonic() < self._rest_until:
            return
        try:
            self.client.publish(CANCELLATIONS, " ".join(execution_ids))
        except redis.RedisError as error:
            self._rest(error)

    def depth(self) -> int | None:
        """Tickets not yet drawn, or None where Redis does not answer."""
        try:
            return int(self.client.llen(self._keys[0]))
        except redis.RedisError:
            return None

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _rest(self, error: redis.RedisError) -> None:
        self._rest_until = time.monotonic() + REST_SECONDS
        log.warning("Redis does not answer, workers poll the database meanwhile: %s", error)


def _encoded(execution_ids: Sequence[str]) -> list[bytes]:
    """Their messages as Dramatiq encodes them: one is, and others differ by their ids alone.

    To encode each would be half of what it costs to start an execution.
    """
    pattern = _pattern(int(time.time()))
    return [pattern.replace(_PLACE, each.encode()) for each in execution_ids]


@lru_cache(maxsize=1)
def _pattern(_second: int) -> bytes:
    """A message of this second, with a place for the id."""
    return message(_PLACE.decode()).encode()


def message(first: str, *others: str) -> dramatiq.Message[None]:
    """The Dramatiq message of an execution, or of several; its id is the first one's.

    In Redis each has a message of its own; what a worker claims at once it hands on as one.
    """
    return dramatiq.Message(
        queue_name=QUEUE,
        actor_name=ACTOR,
        args=(first, *others),
        kwargs={},
        options={"redis_message_id": first},
        message_id=first,
    )
