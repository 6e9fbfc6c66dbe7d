"""The threads that read from the database, each with a connection of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from codex32.kernel.pools import Pool

T = TypeVar("T")


class Readers:
    """Carries out reads, as many at once as there are threads; the others wait.

    Args:
      size: How many threads.

    Attributes:
      waits: Reads so far that found all threads busy.
      waited_seconds: How long they waited, all together.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="db-reader")
        self._lock = threading.Lock()
        #: Asked for and not ended.
        self._open = 0
        self.waits = 0
        self.waited_seconds = 0.0

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """What ``work(*args)`` returns, called on one of the threads."""
        with self._lock:
            self._open += 1
            late = self._open > self._size
        try:
            if late:
                future = self._threads.submit(self._begin, time.monotonic(), work, args)
            else:
                future = self._threads.submit(work, *args)
        except BaseException:
            self._ended(None)
            raise
        future.add_done_callback(self._ended)  # also of one that is cancelled before it begins
        return await asyncio.wrap_future(future)

    def _begin(self, asked_at: float, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        with self._lock:
            self.waits += 1
            self.waited_seconds += time.monotonic() - asked_at
        return work(*args)

    def _ended(self, _: Future[Any] | None) -> None:
        with self._lock:
            self._open -= 1

    def pool(self) -> Pool:
        """How busy they are."""
        return Pool.of(self._size, self._open)

    def close(self, leave: Callable[[], None]) -> None:
        """Finish what was asked for, call ``leave`` on each thread, and let go of them."""
        # Each thread has a connection of its own, which it alone can close.
        together = threading.Barrier(self._size)

        def each() -> None:
            together.wait()
            leave()

        for _ in range(self._size):
            self._threads.submit(each)
        self._threads.shutdown()
