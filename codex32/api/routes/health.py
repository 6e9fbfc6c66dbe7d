"""Whether the process is up, and whether it can take work."""

from __future__ import annotations

import asyncio
import logging
import time

from codex32.api.models import AliveOut, ReadyOut
from codex32.kernel import schema
from codex32.kernel.contracts.route import PUBLIC, ApiRequest, ApiResponse, Route
from codex32.kernel.errors import SchemaOutOfDate
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime, migration_sources
from codex32.services.upkeep import processes

log = logging.getLogger(__name__)

#: How long an answer serves all who ask, so that asking costs the database nothing.
KEEP_SECONDS = 1.0
#: A database that takes longer than this is not ready.
PATIENCE_SECONDS = 3.0


class HealthRoutes:
    """``/healthz`` and ``/readyz``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._looking = asyncio.Lock()
        self._looked_at = -KEEP_SECONDS
        self._seen: ApiResponse = ApiResponse()

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
        async with self._looking:
            if time.monotonic() - self._looked_at >= KEEP_SECONDS:
                self._seen = await self._look()
                self._looked_at = time.monotonic()
        return self._seen

    async def _look(self) -> ApiResponse:
        database, current, workers = False, False, 0
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._runtime.door.write(_touch, patience_seconds=PATIENCE_SECONDS)
                database = True
                current, workers = await self._runtime.door.read(self._inspect)
        except Exception as error:
            log.warning("not ready: %s: %s", type(error).__name__, error)
        body = {
            "status": "ready" if database and current else "not ready",
            "database": database,
            "schema_current": current,
            "workers": workers,
        }
        return ApiResponse(body, 200 if database and current else 503)

    def _inspect(self) -> tuple[bool, int]:
        runtime = self._runtime
        living = processes.living(runtime.clock.micros())
        workers = sum(process.kind == "worker" for process in living)
        try:
            schema.require(runtime.door.database, migration_sources(runtime.plugins))
        except SchemaOutOfDate:
            return False, workers
        return True, workers


def _touch() -> None:
    """Take the lock of a writer and leave no trace."""
    processes.forget("")
