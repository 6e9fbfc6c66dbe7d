"""Limits of rates that hold for all processes of the API together.

A request is counted in memory, which costs nothing that could be measured; a little later each
process writes what it counted into a book that all share, and learns what others did. So behind
several processes a caller may be a moment's calls ahead of a limit, and no more. Where the book is
not reached, each process counts by itself until it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from codex32.api.rates import Limiter
from codex32.kernel.contracts.call_book import CallBook

log = logging.getLogger(__name__)

#: What was counted is written down after so long.
PAUSE_SECONDS = 0.25
#: A book that was not reached is left alone for so long.
REST_SECONDS = 2.0


@contextlib.asynccontextmanager
async def shared(limiter: Limiter, book: CallBook | None) -> AsyncIterator[None]:
    """While the block runs, share what ``limiter`` counts; without a book it is on its own."""
    if book is None:
        yield
        return
    task = asyncio.create_task(_share(limiter, book))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.to_thread(book.close)


async def _share(limiter: Limiter, book: CallBook) -> None:
    away = False
    while True:
        await limiter.counted.wait()
        await asyncio.sleep(REST_SECONDS if away else PAUSE_SECONDS)
        calls = limiter.unwritten()
        try:
            left = await asyncio.to_thread(book.add, calls)
        except Exception as error:
            if not away:
                log.warning("limits of rates are not shared until Redis answers: %s", error)
            away = True
            continue
        if away:
            log.warning("limits of rates are shared again")
        away = False
        limiter.learn(calls, left)
