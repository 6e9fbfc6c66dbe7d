"""The way out of a program's network: an HTTP proxy to the hosts of its bot.

A program speaks to it on its own loopback; the listening socket is served here, in a worker, which
alone has a network that leads anywhere. Each connection carries one request, and of that no more
than its head says: what follows would reach a host unseen.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from codex32.outside.sandboxes.way_out import Ways

_HEAD_SECONDS = 30.0
_UNREADABLE = (asyncio.IncompleteReadError, asyncio.LimitOverrunError)
_CHUNK_BYTES = 64 * 1024
_HEADERS_OF_THE_PROXY = ("proxy-", "connection:", "keep-alive:", "upgrade:", "host:")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*")
#: What some servers take for a space or the end of a line stands in neither of them.
_METHOD, _TARGET = re.compile(r"[A-Z-]+"), re.compile(r"[!-~]+")
_VERSION = re.compile(r"HTTP/1\.[01]")
#: Of each program.
MOST_CONNECTIONS = 32
#: Connections beyond that, which are told so; others are not accepted meanwhile.
_MOST_REFUSALS = 4
_PAUSE_SECONDS = 0.2
#: What is left to be taken by then when a connection is over is lost.
_LAST_SECONDS = 5.0
MOST_BYTES = 1024**3


class TooMuchError(Exception):
    """A program has sent and received what it may."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a program asks the proxy for.

    Attributes:
      onward: The head that goes on to the host; empty for ``CONNECT``.
      length: Bytes of its body; None where it comes in chunks.
    """

    method: str
    host: str
    port: int
    onward: bytes = b""
    length: int | None = 0

    @classmethod
    def of(cls, head: bytes) -> Request:
        """From a head up to its empty line.

        Raises:
          ValueError: It is none, or two might read it differently.
        """
        first, *headers = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, target, version = first.split(" ")
        line = _METHOD.fullmatch(method), _TARGET.fullmatch(target), _VERSION.fullmatch(version)
        if not all(line) or not all(map(_HEADER.fullmatch, headers)):
            raise ValueError("this is no request of HTTP/1.1")
        if method == "CONNECT":
            authority = urlsplit(f"//{target}")
            if authority.hostname is None or authority.port is None:
                raise ValueError("CONNECT needs HOST:PORT")
            return cls(method, authority.hostname, authority.port)
        url = urlsplit(target)
        if url.scheme != "http" or url.hostname is None:
            raise ValueError("a proxy is asked for http:// addresses")
        kept = [each for each in headers if not each.lower().startswith(_HEADERS_OF_THE_PROXY)]
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        # The name that was checked is the one that is asked for.
        host = url.netloc.rpartition("@")[2]
        lines = [f"{method} {path} {version}", f"Host: {host}", "Connection: close", *kept]
        onward = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        length = _body_length(kept)
        if length is None and version == "HTTP/1.0":
            raise ValueError("a body comes in chunks as of HTTP/1.1")
        return cls(method, url.hostname, url.port or 80, onward, length)


def _body_length(headers: list[str]) -> int | None:
    told = [each.lower().partition(":") for each in headers]
    lengths = {value.strip() for name, _, value in told if name == "content-length"}
    codings = [value.strip() for name, _, value in told if name == "transfer-encoding"]
    if codings:
        if codings != ["chunked"] or lengths:
            raise ValueError("a body has a length, or comes in chunks")
        return None
    if len(lengths) > 1 or not all(each.isdecimal() and each.isascii() for each in lengths):
        raise ValueError("a body has one length")
    return int(lengths.pop()) if lengths else 0


class Proxy:
    """``CONNECT``, and requests for ``http://`` addresses, for one program.

    Args:
      most_connections: At once; more are refused.
      most_bytes: Of all connections together, both ways.
    """

    def __init__(
        self,
        ways: Ways,
        *,
        most_connections: int = MOST_CONNECTIONS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._ways = ways
        self._most_connections, self._left = most_connections, most_bytes
        self._open: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(most_connections + _MOST_REFUSALS)

    async def serve(self, listening: socket.socket) -> None:
        """Serve the connections of ``listening``, until cancelled."""
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        try:
            while True:
                # What is not accepted waits in the program's network and costs nobody anything.
                await self._room.acquire()
                self._begin(await _accepted(loop, listening))
        finally:
            listening.close()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _begin(self, line: socket.socket) -> None:
        full = len(self._open) >= self._most_connections
        task = asyncio.ensure_future(self._attend(line, full))
        self._open.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        self._room.release()

    async def _attend(self, line: socket.socket, full: bool) -> None:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(sock=line)
            async with _closing(writer):
                await self._handle(reader, writer, full)

    async def _handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, full: bool
    ) -> None:
        try:
            # Also of what is refused: else the refusal would be lost with what nobody read.
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            if full:
                raise PermissionError(
                    f"a program may have {self._most_connections} connections at once"
                )
            if self._left <= 0:
                raise PermissionError("this program has sent and received what it may")
            request = Request.of(head)
            theirs, to_them = await self._ways.connect(request.host, request.port)
        except PermissionError as error:
            await _refuse(writer, "403 Forbidden", error)
        except (ValueError, *_UNREADABLE) as error:
            await _refuse(writer, "400 Bad Request", error)
        except (OSError, TimeoutError) as error:
            await _refuse(writer, "502 Bad Gateway", error)
        else:
            async with _closing(to_them):
                await self._carry(request, (reader, writer), (theirs, to_them))

    async def _carry(
        self,
        request: Request,
        program: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        host: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        reader, writer = program
        theirs, to_them = host
        back = asyncio.ensure_future(self._pump(theirs, writer))
        if request.method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            forth = asyncio.ensure_future(self._pump(reader, to_them))
        else:
            to_them.write(request.onward)
            forth = asyncio.ensure_future(self._send_body(request.length, reader, to_them))
        try:
            with suppress(OSError, TooMuchError, ValueError, *_UNREADABLE):
                await asyncio.gather(forth, back)
        finally:
            for each in (forth, back):
                each.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)

    async def _send_body(
        self, length: int | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Send on what belongs to the request, and nothing behind it."""
        if length is not None:
            await self._pump_exactly(length, reader, writer)
            return
        size = -1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line.partition(b";")[0].strip().decode("ascii"), 16)
            if size < 0:
                raise ValueError("a chunk has a size")
            writer.write(f"{size:x}\r\n".encode())
            await self._pump_exactly(size, reader, writer)
            if size and await reader.readexactly(2) != b"\r\n":
                raise ValueError("a chunk is as long as it says")
            writer.write(b"\r\n")
        # What may stand behind the last chunk says nothing that the host needs.
        await writer.drain()

    async def _pump_exactly(
        self, length: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while length:
            data = await reader.read(min(length, _CHUNK_BYTES))
            if not data:
                raise ValueError("the body ended before its length")
            length -= len(data)
            await self._write(data, writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await self._write(data, writer)
        if writer.can_write_eof():
            writer.write_eof()

    async def _write(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise TooMuchError
        writer.write(data)
        await writer.drain()


async def _accepted(loop: asyncio.AbstractEventLoop, listening: socket.socket) -> socket.socket:
    while True:
        try:
            return (await loop.sock_accept(listening))[0]
        except OSError:  # it was given up, or this process has no descriptor left for it
            await asyncio.sleep(_PAUSE_SECONDS)


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close it at the end of the block, once what was written is taken, or a while has passed.

    Until then it is counted: otherwise whoever reads nothing could hold many.
    """
    try:
        yield
        writer.close()
        with suppress(OSError):
            async with asyncio.timeout(_LAST_SECONDS):
                await writer.wait_closed()
    finally:
        writer.transport.abort()


async def _refuse(writer: asyncio.StreamWriter, status: str, why: object) -> None:
    body = f"{why or type(why).__name__}\n".encode(errors="replace")
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with suppress(OSError):
        writer.write(head.encode() + body)
        await writer.drain()
