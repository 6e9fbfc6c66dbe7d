"""Telling workers at once that executions shall be cancelled, through Redis pub/sub.

A message only makes a worker look into the database earlier than at its next heartbeat. So one
that is lost costs some seconds, and one that is forged a look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import redis

from codex32.outside.redis_pools import watched
from codex32_workers.tickets import CANCELLATIONS, REST_SECONDS

log = logging.getLogger(__name__)

#: A longer message is not ours: 1,000 ids are shorter.
_LONGEST_BYTES = 128 * 1024
_POLL_SECONDS = 1.0


class Listener:
    """Hears of cancellations on a thread of its own, also after Redis was away.

    Args:
      url: Of the Redis server.
      heard: Called with the ids, on that thread.
    """

    def __init__(self, url: str, heard: Callable[[Sequence[str]], None]) -> None:
        self._client = watched(
            redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2, retry=None)
        )
        self._heard = heard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cancellations", daemon=True)

    def start(self) -> None:
        """Listen from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except redis.RedisError as error:
                log.debug("cancellations are heard with the heartbeat meanwhile: %s", error)
                self._stop.wait(REST_SECONDS)

    def _listen(self) -> None:
        with self._client.pubsub(  # type: ignore[no-untyped-call]
            ignore_subscribe_messages=True
        ) as channel:
            channel.subscribe(CANCELLATIONS)
            while not self._stop.is_set():
                message = channel.get_message(timeout=_POLL_SECONDS)
                data = None if message is None else message["data"]
                if isinstance(data, bytes) and len(data) <= _LONGEST_BYTES:
                    self._heard(data.decode(errors="replace").split())
