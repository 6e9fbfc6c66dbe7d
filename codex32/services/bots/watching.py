"""Scanning folders whenever something happens in them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path

from watchfiles import awatch

from codex32.services.bots.folders import Changes, FolderSync

log = logging.getLogger(__name__)

#: How often a watcher looks up, also where nothing happens, in seconds.
_LOOK_UP_SECONDS = 0.3
#: What looking again and again may take where nothing happens: some 2 s with 1,000 bots and a
#: minute with 100,000.
_MOST_OF_A_CORE = 0.02


async def watch(
    sync: FolderSync,
    stop: asyncio.Event,
    on_changes: Callable[[Changes], Awaitable[None]] | None = None,
    *,
    poll_seconds: float = 5.0,
) -> None:
    """Scan at once, and then whenever something happens, until ``stop`` is set.

    File systems that tell nothing (networks) are looked at every ``poll_seconds``, or less often
    where there is so much to look at that it would cost more than ``_MOST_OF_A_CORE``. A scan
    that fails is logged and made again.
    """
    due = 0.0
    while not stop.is_set():
        there = await asyncio.to_thread(_there, sync)
        async with contextlib.aclosing(_hints(there, stop, poll_seconds)) as hints:
            async for happened in hints:
                if happened or time.monotonic() >= due:
                    began = time.monotonic()
                    again = await _scan(sync, on_changes)
                    ended = time.monotonic()
                    rest = max(poll_seconds, (ended - began) / _MOST_OF_A_CORE)
                    due = ended + (sync.settle_seconds if again else rest)
                if await asyncio.to_thread(_there, sync) != there:
                    break  # a folder that came back is watched anew


async def _scan(sync: FolderSync, on_changes: Callable[[Changes], Awaitable[None]] | None) -> bool:
    """Whether the next scan should come soon."""
    try:
        changes = await sync.scan()
        if changes and on_changes is not None:
            await on_changes(changes)
    except Exception:
        log.exception("the folders could not be applied; trying again")
        return False
    return changes.again


def _there(sync: FolderSync) -> list[Path]:
    return [folder for folder in sync.folders if folder.is_dir()]


async def _hints(
    folders: Sequence[Path], stop: asyncio.Event, poll_seconds: float
) -> AsyncGenerator[bool, None]:
    """Whether something happened in the folders; speaks up several times a second."""
    if folders:
        try:
            async for happened in awatch(
                *folders,
                watch_filter=None,
                debounce=200,
                step=50,
                rust_timeout=int(_LOOK_UP_SECONDS * 1000),
                yield_on_timeout=True,
                stop_event=stop,
                ignore_permission_denied=True,
            ):
                yield bool(happened)
            return
        except OSError as error:  # a folder vanished, or the system has no watches left
            log.warning("folders cannot be watched (%s); looking every %gs", error, poll_seconds)
    for _ in range(int(max(poll_seconds, 1) / _LOOK_UP_SECONDS) + 1):
        yield False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_UP_SECONDS):  # wait_for may swallow being cancelled
                await stop.wait()
            return
