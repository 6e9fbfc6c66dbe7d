"""What worker and scheduler processes do beside their work: mend, and say that they live."""

from __future__ import annotations

import asyncio
import logging
import random
from functools import partial

from codex32.runtime import Runtime
from codex32.services.ai import ledger
from codex32.services.upkeep import processes, recovery
from codex32.services.upkeep.timekeeping import Timekeeper

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0


async def keep_house(runtime: Runtime) -> None:
    """Mend what other processes lost, and say that this one is alive, until cancelled."""
    process, clock, door = runtime.process, runtime.clock, runtime.door
    settings = runtime.settings.recovery
    started_at = clock.micros()
    lease = runtime.settings.worker.lease_seconds
    keeper = Timekeeper(clock, lease + settings.interval_seconds)
    beat_at = -HEARTBEAT_SECONDS
    loop = asyncio.get_running_loop()
    while True:
        try:
            if loop.time() - beat_at >= HEARTBEAT_SECONDS:
                beat_at = loop.time()
                now, busy = clock.micros(), processes.busy_pools(door)
                await door.write(
                    partial(processes.heartbeat, process.id, process.kind, started_at, now, busy)
                )
                await runtime.meter.keep(door)
            judge = await keeper.look(door)
            await ledger.reap(door, clock.micros())
            await recovery.recover(
                door, clock.micros(), max_deaths=settings.max_deaths, judge_leases=judge
            )
        except Exception:
            log.exception("house-keeping failed and is tried again")
        # Processes that started together must not all look at once for ever, and none later than
        # the setting says: a lost execution goes on within a lease and an interval.
        await asyncio.sleep(settings.interval_seconds * random.uniform(0.6, 0.9))  # noqa: S311
