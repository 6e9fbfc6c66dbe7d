"""A server on a thread of its own, for tests that are no coroutines or start processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
#: Has the server's own thread do something, and returns what came of it.
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@contextmanager
def apart(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[tuple[T, Run]]:
    """Serve while the block runs.

    ::

        with apart(ImapServer) as (imap, run):
            run(imap.deliver(mail))

    Args:
      make: Makes the server, on the thread on which it will serve.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server", daemon=True)
    thread.start()

    def run(work: Awaitable[Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(_awaited(work), loop).result()

    async def begin() -> tuple[AbstractAsyncContextManager[T], T]:
        server = make()
        return server, await server.__aenter__()

    async def end(server: AbstractAsyncContextManager[T]) -> None:
        await server.__aexit__(None, None, None)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    try:
        server, entered = run(begin())
        try:
            yield entered, run
        finally:
            run(end(server))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work
