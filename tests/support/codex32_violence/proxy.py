"""Stands between the house and a server, as a bad network does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Proxy:
    """Listens on a TCP port and passes everything on to a Unix socket.

    Attributes:
      passed: Answers that went through so far.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._flowing: asyncio.Event
        self._to_lose = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self.passed = 0
        self.port = 0

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._call(self._listen())

    def stop(self) -> None:
        """Cut everything and listen no more."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stall(self) -> None:
        """Pass nothing on, in either direction, but keep every connection open."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """Pass on what was held back, and what comes."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def lose(self, answers: int) -> None:
        """Let the next ``answers`` vanish, and their connections break."""
        self._to_lose += answers

    @property
    def lost(self) -> bool:
        """Whether all answers that were to vanish have vanished."""
        return self._to_lose <= 0

    def cut(self) -> None:
        """Break every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def _call(self, work) -> None:  # type: ignore[no-untyped-def]
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        self._cut()
        self._flowing.set()
        await asyncio.sleep(0.05)

    def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs, ours = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.close()
            return
        both = {writer, ours}
        self._writers |= both
        try:
            await asyncio.wait(
                [
                    asyncio.ensure_future(self._pump(reader, ours, answers=False)),
                    asyncio.ensure_future(self._pump(theirs, writer, answers=True)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                if answers and self._to_lose > 0:
                    self._to_lose -= 1
                    return
                self.passed += answers
                writer.write(data)
                await writer.drain()


@contextmanager
def proxy(target: Path) -> Iterator[Proxy]:
    """A proxy before ``target``, for as long as the block runs."""
    made = Proxy(target)
    made.start()
    try:
        yield made
    finally:
        made.stop()
