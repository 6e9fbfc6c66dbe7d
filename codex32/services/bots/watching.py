"""Scanning folders whenever something happens in them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from watchfiles import awatch

from codex32.services.bots.folders import Changes, FolderSync

log = logging.getLogger(__name__)

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
        happened = asyncio.Event()
        listening = asyncio.create_task(_listen(there, stop, happened, poll_seconds))
        try:
            while not stop.is_set():
                await _either(stop, happened, due - time.monotonic())
                if happened.is_set() or time.monotonic() >= due:
                    happened.clear()
                    began = time.monotonic()
                    again = await _scan(sync, on_changes)
                    ended = time.monotonic()
                    rest = max(poll_seconds, (ended - began) / _MOST_OF_A_CORE)
                    due = ended + (sync.settle_seconds if again else rest)
                if listening.done() or await asyncio.to_thread(_there, sync) != there:
                    break  # a folder that came back is watched anew
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _either(first: asyncio.Event, second: asyncio.Event, seconds: float) -> None:
    """Until one of them is set, or ``seconds`` have passed."""
    waiting = [asyncio.create_task(event.wait()) for event in (first, second)]
    try:
        one = asyncio.FIRST_COMPLETED
        await asyncio.wait(waiting, timeout=max(seconds, 0.0), return_when=one)
    finally:
        for each in waiting:
            each.cancel()


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


async def _listen(
    folders: Sequence[Path], stop: asyncio.Event, happened: asyncio.Event, poll_seconds: float
) -> None:
    """Say when something happened in the folders; ends where they cannot be watched."""
    if not folders:
        await stop.wait()
        return
    try:
        async for _ in awatch(
            *folders,
            watch_filter=None,
            debounce=200,
            step=100,
            stop_event=stop,
            ignore_permission_denied=True,
        ):
            happened.set()
    except OSError as error:  # a folder vanished, or the system has no watches left
        log.warning("folders cannot be watched (%s); looking every %gs", error, poll_seconds)
