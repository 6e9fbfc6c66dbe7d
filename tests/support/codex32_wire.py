"""A wire to PostgreSQL, which a test may cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit


class PostgresWire:
    """Listens on this machine and carries bytes to the server of a URL.

    That server may listen on a Unix socket alone.

    Attributes:
      port: Where it listens.
      cut_after: Once a client has sent these, the server gets them, and the client no answer.
      cut_before: Once a client has sent these, neither gets anything any more.
      cuts: How often it was cut.
      answered: How many bytes of the server's clients have taken, or could at any time.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self.port = 0
        self.cut_after = self.cut_before = b""
        self.cuts = self.answered = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one client's bytes."""
        there, here = await self._dial()
        back = asyncio.create_task(self._pour(there, writer))
        try:
            while sent := await reader.read(65536):
                if self.cut_before and self.cut_before in sent:
                    self.cut_before = b""
                    self.cuts += 1
                    break
                if self.cut_after and self.cut_after in sent:
                    self.cut_after = b""
                    self.cuts += 1
                    back.cancel()
                    await asyncio.wait([back])
                    here.write(sent)
                    await there.read(65536)  # the server has done it by now
                    break
                here.write(sent)
        finally:
            back.cancel()
            for each in (here, writer):
                each.close()

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while got := await reader.read(65536):
                writer.write(got)
                await writer.drain()
                self.answered += len(got)
        writer.close()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = self._url.port or 5432
        if self._url.hostname:
            return await asyncio.open_connection(self._url.hostname, port)
        (folder,) = parse_qs(self._url.query)["host"]
        return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")


@asynccontextmanager
async def open_wire(url: str) -> AsyncIterator[PostgresWire]:
    """A wire to the server of a URL, carrying."""
    wire = PostgresWire(url)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
