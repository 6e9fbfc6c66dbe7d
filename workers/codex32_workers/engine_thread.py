"""The event loop on which a worker process runs its executions."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from codex32.engine.records.advance import Claim
from codex32.engine.running.host import Host
from codex32.kernel.fault_points import fault_point
from codex32.runtime import Runtime
from codex32.services.upkeep import processes
from codex32_workers.cancellations import Listener
from codex32_workers.housekeeping import keep_house

log = logging.getLogger(__name__)


class EngineThread:
    """Owns a loop, a host on it, and the house-keeping of a worker process.

    Args:
      runtime: The process's parts.
      on_room: Called when an attempt has ended, on the loop's thread.
    """

    def __init__(self, runtime: Runtime, on_room: Callable[[], None]) -> None:
        self.runtime = runtime
        self._on_room = on_room
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._handed: list[Claim] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._keeping: asyncio.Task[None] | None = None
        self._trying: asyncio.Task[None] | None = None
        url = runtime.settings.redis_url
        self._listener = None if url is None else Listener(url, self._look_after)
        self.host: Host

    def start(self) -> None:
        """Start the loop and the host."""
        self._thread.start()
        self._call(self._open()).result()

    def take(self, limit: int, only: Sequence[str] = ()) -> list[Claim]:
        """Claim executions. From any thread but the loop's."""
        door = self.runtime.door
        work = partial(self.host.take, limit, only)
        # While the engine runs these, the steps of those before them are recorded.
        claims = door.write_apart(work, patience_seconds=2.0)
        if claims:
            fault_point("take.after_commit")
        self.host.hold(claims)
        return claims

    def hand_over(self, claims: Sequence[Claim]) -> None:
        """Have claimed executions run. From any thread; many calls wake the loop once."""
        with self._lock:
            wake = bool(claims) and not self._handed
            self._handed += claims
        if wake:
            self._loop.call_soon_threadsafe(self._begin_handed)

    def _look_after(self, execution_ids: Sequence[str]) -> None:
        self.host.look_after(execution_ids)

    def _begin_handed(self) -> None:
        with self._lock:
            handed, self._handed = self._handed, []
        for claim in handed:
            self.host.begin(claim)

    def stop(self, grace_seconds: float) -> None:
        """Give everything back in good order and stop the loop."""
        self._call(self._close(grace_seconds)).result()
        self._stopping = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            if not self._stopping:
                # A worker without its loop claims and renews and does nothing: better none.
                log.critical("the event loop ended; so does this process", exc_info=True)
                logging.shutdown()
                os._exit(70)

    def _call(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _open(self) -> None:
        settings = self.runtime.settings.worker
        self.host = Host(
            self.runtime.environment(),
            self.runtime.process.id,
            concurrency=settings.concurrency,
            lease_seconds=settings.lease_seconds,
            on_room=self._on_room,
        )
        self.host.start_heart()
        if self._listener is not None:
            self._listener.start()
        self._keeping = asyncio.create_task(keep_house(self.runtime))
        self._trying = asyncio.create_task(self.host.env.programs.prepare())

    async def _close(self, grace_seconds: float) -> None:
        self._begin_handed()
        await self.host.drain(grace_seconds)
        if self._listener is not None:
            await asyncio.to_thread(self._listener.stop)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
        if self.host.env.close is not None:
            await self.host.env.close()
        await processes.leave(self.runtime.door, self.runtime.process.id)
