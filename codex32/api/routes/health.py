"""Whether the process is up, whether it can take work, and what of the house is not well."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from codex32.api.kept import Kept
from codex32.api.models import AliveOut, ReadyOut
from codex32.kernel import schema
from codex32.kernel.clock import from_micros
from codex32.kernel.contracts.route import PUBLIC, ApiRequest, ApiResponse, Route
from codex32.kernel.errors import SchemaOutOfDate
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.upkeep import processes
from codex32.tables import migration_sources

log = logging.getLogger(__name__)

#: How long an answer serves all who ask.
KEEP_SECONDS = 1.0
#: A database that takes longer than this is not ready.
PATIENCE_SECONDS = 3.0
#: A Redis that takes longer than this does not answer.
REDIS_SECONDS = 1.0
#: Less room than this is told of.
LEAST_DISK_MIB = 100
_MIB = 1024 * 1024
#: The processes a house needs beside this one, and what happens without them.
_NEEDED = {
    "worker": "executions are queued and not begun",
    "scheduler": "no schedule fires, and nothing that was lost is mended",
}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found.

    Attributes:
      current: Whether no migration is missing.
      kinds: How many processes of each kind live.
      heard: When the last word came of needed kinds of which none lives, in microseconds.
    """

    current: bool = False
    kinds: Counter[str] = field(default_factory=Counter)
    heard: Mapping[str, int] = field(default_factory=dict)


class HealthRoutes:
    """``/healthz`` and ``/readyz``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._kept = Kept(KEEP_SECONDS, self._look)
        #: Since when each part is not well: a process since its last word, all else since it was
        #: seen; in microseconds.
        self._since: dict[str, int] = {}
        self._depth: asyncio.Task[int | None] | None = None

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/healthz",
                operation="health.alive",
                policy=PUBLIC,
                handler=self._alive,
                summary="The process is up",
                response=AliveOut,
            ),
            Route(
                method="GET",
                path="/readyz",
                operation="health.ready",
                policy=PUBLIC,
                handler=self._ready,
                summary="Work can be taken (200), or not (503)",
                response=ReadyOut,
            ),
        ]

    async def _alive(self, request: ApiRequest) -> JSON:
        return {"status": "ok"}

    async def _ready(self, request: ApiRequest) -> ApiResponse:
        return await self._kept.get()

    async def _look(self) -> ApiResponse:
        database, seen = False, _Seen()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._runtime.door.write(self._touch, patience_seconds=PATIENCE_SECONDS)
                database = True
                seen = await self._runtime.door.read(self._inspect)
        except Exception as error:
            log.warning("not ready: %s: %s", type(error).__name__, error)
        unwell: dict[str, str] = {}
        if not database:
            unwell["database"] = "it cannot be written"
        elif not seen.current:
            unwell["schema"] = "migrations are missing: codex32 db upgrade"
        free = await asyncio.to_thread(self._free_mib)
        if free < LEAST_DISK_MIB:
            unwell["disk"] = f"{free} MiB are free: make room, or soon nothing can be written"
        if database and seen.current:
            # What is asked for is taken all the same, and waits for them.
            if not await self._redis_answers():
                unwell["redis"] = "it does not answer: workers poll the database meanwhile"
            for kind, meanwhile in _NEEDED.items():
                if not seen.kinds[kind]:
                    unwell[kind] = f"none was heard of in the last 30 seconds: {meanwhile}"
        ready = database and seen.current
        body = {
            "status": "ready" if ready else "not ready",
            "database": database,
            "schema_current": seen.current,
            "workers": seen.kinds["worker"],
            "not_well": self._dated(unwell, seen.heard),
        }
        return ApiResponse(body, 200 if ready else 503)

    async def _redis_answers(self) -> bool:
        dispatcher = self._runtime.dispatcher
        if dispatcher is None:
            return True
        # One that hangs is waited for again, and not asked twice: each question holds a thread.
        if self._depth is None or self._depth.done():
            self._depth = asyncio.create_task(asyncio.to_thread(dispatcher.depth))
        await asyncio.wait([self._depth], timeout=REDIS_SECONDS)
        return self._depth.done() and self._depth.result() is not None

    def _dated(self, unwell: Mapping[str, str], heard: Mapping[str, int]) -> list[JSON]:
        now = self._runtime.clock.micros()
        seen = {**dict.fromkeys(unwell, now), **heard, **self._since}
        self._since = {part: seen[part] for part in unwell}
        return [
            {"part": part, "since": from_micros(self._since[part]).isoformat(), "detail": detail}
            for part, detail in unwell.items()
        ]

    def _inspect(self) -> _Seen:
        runtime = self._runtime
        kinds = Counter(each.kind for each in processes.living(runtime.clock.micros()))
        silent = [kind for kind in _NEEDED if not kinds[kind]]
        heard = {kind: at for kind in silent if (at := processes.last_heard(kind)) is not None}
        try:
            schema.require(runtime.door.database, migration_sources(runtime.plugins))
        except SchemaOutOfDate:
            return _Seen(False, kinds, heard)
        return _Seen(True, kinds, heard)

    def _free_mib(self) -> int:
        home = self._runtime.settings.home  # nothing may have been written there yet
        return shutil.disk_usage(home if home.exists() else home.parent).free // _MIB

    def _touch(self) -> None:
        """Write: a disk that is full gives locks, and takes nothing."""
        processes.still_alive(self._runtime.process.id, self._runtime.clock.micros())
