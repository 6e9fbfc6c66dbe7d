"""A scheduler process: watches folders and alerts, fires triggers, sends webhooks, mends, forgets.

Several may run; none leads. What two of them find at once is done by the one whose commit is
first, and by it alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from codex32.kernel.beats import until_beat
from codex32.outside.http_on_demand import HttpOnDemand
from codex32.outside.settling import settle_memory
from codex32.outside.stopping import STOP_SECONDS, end_within, heed_signals_on_loop
from codex32.outside.streams import GuardedStreams
from codex32.runtime import Runtime
from codex32.services.ai import spending
from codex32.services.alerts.watching import Watch
from codex32.services.bots import schedules
from codex32.services.bots.watching import watch
from codex32.services.building import sessions as builds
from codex32.services.events.outbound import Courier
from codex32.services.events.routing import Router
from codex32.services.executions.diagnosing import keep_diagnoses
from codex32.services.triggers.file_triggers import FileWatcher
from codex32.services.triggers.sources import SourceWatcher
from codex32.services.triggers.triggers import Ticker
from codex32.services.upkeep import processes, retention
from codex32_workers.housekeeping import keep_house

log = logging.getLogger(__name__)

#: How often the head of the audit log is noted outside the database.
ANCHOR_SECONDS = 60.0
#: How often failed executions are diagnosed.
DIAGNOSES_SECONDS = 5.0


#: Something that is done until it is cancelled.
Work = Callable[[Runtime], Coroutine[Any, Any, None]]


def run_scheduler(runtime: Runtime, beside: Sequence[Work] = ()) -> None:
    """Schedule until SIGTERM or SIGINT, and do what else is wanted."""
    asyncio.run(_schedule(runtime, beside))


async def _schedule(runtime: Runtime, beside: Sequence[Work]) -> None:
    stop = heed_signals_on_loop()
    settings = runtime.settings
    # Where people are told the news, a line for people would say the same again.
    tell = not beside or settings.log.format == "ecs"
    tasks = [
        asyncio.create_task(
            watch(runtime.folder_sync(), stop, poll_seconds=settings.bots.poll_seconds)
        ),
        asyncio.create_task(_set_right(runtime)),
        asyncio.create_task(_tick(runtime)),
        asyncio.create_task(_every(settings.scheduler.events_interval_seconds, _route(runtime))),
        asyncio.create_task(_look_at_files(runtime)),
        asyncio.create_task(_watch_sources(runtime)),
        asyncio.create_task(_send_webhooks(runtime)),
        asyncio.create_task(_watch_alerts(runtime)),
        asyncio.create_task(_every(settings.retention.interval_seconds, _prune(runtime))),
        asyncio.create_task(_every(settings.retention.interval_seconds, _prune_spending(runtime))),
        asyncio.create_task(_every(settings.retention.interval_seconds, _prune_builds(runtime))),
        asyncio.create_task(_every(ANCHOR_SECONDS, _anchor(runtime))),
        asyncio.create_task(_every(DIAGNOSES_SECONDS, _diagnose(runtime, tell))),
        asyncio.create_task(keep_house(runtime)),
        *(asyncio.create_task(work(runtime)) for work in beside),
    ]
    settle_memory()
    log.info("scheduler %s is ready", runtime.process.id)
    await stop.wait()
    end_within(STOP_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await processes.leave(runtime.door, runtime.process.id)


async def _every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    """Do ``work`` again and again; a fault is logged and the next round comes all the same."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("a round of the scheduler failed and is made again")
        await asyncio.sleep(until_beat(seconds))


async def _tick(runtime: Runtime) -> None:
    """Answer triggers at their times, and look at least once an interval."""
    settings = runtime.settings.scheduler
    ticker = Ticker(
        runtime.components.trigger_types,
        runtime.definitions,
        runtime.payloads,
        missed_after_seconds=settings.missed_after_seconds,
    )
    while True:
        pause = until_beat(settings.interval_seconds)
        try:
            ticked = await ticker.run(runtime.door, runtime.clock.micros())
            pause = ticked.pause_seconds(
                runtime.clock.micros(), until_beat(settings.interval_seconds)
            )
        except Exception:
            log.exception("a look at the triggers failed and is made again")
        await asyncio.sleep(pause)


async def _set_right(runtime: Runtime) -> None:
    """Look through all triggers once for those that went astray, at a tenth of a core."""
    types, last = runtime.components.trigger_types, ""
    while True:
        began = time.monotonic()
        try:
            astray = await runtime.door.read(
                schedules.find_astray, types, runtime.clock.micros(), last
            )
            if astray.times:
                await runtime.door.write(partial(schedules.set_right, astray))
        except Exception:
            log.exception("the times of triggers could not be looked through; trying again")
            await asyncio.sleep(1.0)
            continue
        if astray.last is None:
            return
        last = astray.last
        await asyncio.sleep((time.monotonic() - began) * 9)


def _anchor(runtime: Runtime) -> Callable[[], Awaitable[object]]:
    def note() -> None:
        runtime.anchors.note(runtime.clock.micros())

    return lambda: runtime.door.read(note)


def _diagnose(runtime: Runtime, tell: bool) -> Callable[[], Awaitable[object]]:
    trace = None if runtime.traces is None else runtime.traces.tracing.of
    return lambda: keep_diagnoses(runtime.door, runtime.payloads, tell=tell, trace=trace)


def _route(runtime: Runtime) -> Callable[[], Awaitable[object]]:
    router = Router(runtime.components.trigger_types, runtime.definitions, runtime.payloads)
    return lambda: router.run(runtime.door, runtime.clock.micros())


async def _look_at_files(runtime: Runtime) -> None:
    """Look into the folders of file triggers, at most at a tenth of a core."""
    watcher = FileWatcher(runtime.components.trigger_types, runtime.definitions, runtime.payloads)
    while True:
        began = time.monotonic()
        try:
            await watcher.look(runtime.door, runtime.clock.micros)
        except Exception:
            log.exception("a look at the files of triggers failed and is made again")
        spent = time.monotonic() - began
        least = until_beat(runtime.settings.scheduler.files_interval_seconds)
        await asyncio.sleep(max(least, 9 * spent))


async def _watch_sources(runtime: Runtime) -> None:
    """Watch what triggers read on their own: mailboxes and the like."""
    watcher = SourceWatcher(
        runtime.door,
        runtime.clock,
        runtime.components.trigger_types,
        runtime.definitions,
        runtime.payloads,
        secret=runtime.secrets.secret,
        reach=GuardedStreams(runtime.settings.outside.private_hosts).for_hosts,
    )
    try:
        await _every(runtime.settings.scheduler.files_interval_seconds, watcher.look)
    finally:
        await watcher.close()


async def _send_webhooks(runtime: Runtime) -> None:
    client = HttpOnDemand(runtime.settings.outside.private_hosts)
    courier = Courier(
        runtime.door,
        runtime.clock,
        runtime.vault,
        client.anywhere(),
        sender=runtime.process.id,
        timeout_seconds=runtime.settings.webhooks.timeout_seconds,
    )
    try:
        await courier.run()
    finally:
        await client.close()


async def _watch_alerts(runtime: Runtime) -> None:
    """Look at what alerts look at, at most at a tenth of a core."""
    watch = Watch(runtime.door, runtime.starter, runtime.clock)
    while True:
        began = time.monotonic()
        try:
            await watch.look()
        except Exception:
            log.exception("a look at the alerts failed and is made again")
        spent = time.monotonic() - began
        least = until_beat(runtime.settings.scheduler.alerts_interval_seconds)
        await asyncio.sleep(max(least, 9 * spent))


def _prune_spending(runtime: Runtime) -> Callable[[], Awaitable[object]]:
    keep = runtime.settings.ai.keep_days
    return lambda: spending.prune(runtime.door, runtime.clock.micros(), keep)


def _prune_builds(runtime: Runtime) -> Callable[[], Awaitable[object]]:
    keep = runtime.settings.builder.keep_days
    return lambda: builds.prune(runtime.door, runtime.clock.micros(), keep)


def _prune(runtime: Runtime) -> Callable[[], Awaitable[object]]:
    settings = runtime.settings.retention
    limits = retention.Limits(
        days=settings.days.model_dump(),
        keep_last=settings.keep_last,
        dead_letter_days=settings.dead_letter_days,
        delivery_days=runtime.settings.webhooks.keep_days,
    )
    return lambda: retention.prune(runtime.door, limits, runtime.payloads, runtime.clock.micros())
