"""The way out of a program's network: connections to the hosts of its bot, name and address seen.

A program speaks to a proxy on its own loopback; the listening socket is served here, in a worker,
which alone has a network that leads anywhere.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from codex32.outside.guard import GuardedSockets, PrivateHosts
from codex32.outside.hosts import HostPattern, normal_host, parse_patterns

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_HEAD_SECONDS = _CONNECT_SECONDS = 30.0
_CHUNK_BYTES = 64 * 1024
_HEADERS_OF_THE_PROXY = ("proxy-", "connection:", "keep-alive:", "host:")


@dataclass(frozen=True, slots=True)
class Ways:
    """Connects to the hosts that ``allow.hosts`` names.

    Attributes:
      allowed: The bot's hosts.
      private: What operators permit beside public addresses.
    """

    allowed: tuple[HostPattern, ...]
    private: PrivateHosts

    @classmethod
    def of(cls, hosts: Iterable[str], private_hosts: Sequence[str]) -> Ways:
        """From the entries of ``allow.hosts`` and ``outside.private_hosts``."""
        return cls(parse_patterns(hosts), PrivateHosts.parse(private_hosts))

    async def connect(self, host: str, port: int) -> Streams:
        """Connect to a host by name or address.

        Raises:
          PermissionError: The bot may not speak to it, or none of its addresses is public.
          OSError: It cannot be reached.
        """
        try:
            name = normal_host(host)
        except ValueError as error:
            raise PermissionError(str(error)) from None
        if not any(pattern.fits(name, port) for pattern in self.allowed):
            raise PermissionError(f"{name} is not among the bot's hosts (allow.hosts)")
        loop = asyncio.get_running_loop()
        fault: OSError = OSError(f"{name} has no address")
        async with asyncio.timeout(_CONNECT_SECONDS):
            for info in await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM):
                try:
                    made = self._socket(name, port, info)
                except OSError as error:
                    fault = PermissionError(f"{name}: {error}")
                    continue
                try:
                    await loop.sock_connect(made, info[4])
                    return await asyncio.open_connection(sock=made)
                except OSError as error:
                    made.close()
                    fault = error
        raise fault

    def _socket(self, name: str, port: int, info: tuple[object, ...]) -> socket.socket:
        if not self.private.names_host(name, port):
            return GuardedSockets(self.private)(info)
        family, kind, protocol = info[:3]
        made = socket.socket(family, kind, protocol)  # type: ignore[arg-type]
        made.setblocking(False)
        return made


class Proxy:
    """An HTTP proxy: ``CONNECT``, and requests for ``http://`` addresses."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    async def serve(self, listening: socket.socket) -> None:
        """Serve the connections of ``listening``, until cancelled."""
        open_tasks: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            open_tasks.add(task)
            try:
                await self._handle(reader, writer)
            finally:
                open_tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(handle, sock=listening)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for task in list(open_tasks):
                task.cancel()
            await asyncio.gather(*open_tasks, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            method, host, port, onward = _wanted(head)
            theirs, to_them = await self._ways.connect(host, port)
        except PermissionError as error:
            _refuse(writer, "403 Forbidden", error)
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            _refuse(writer, "400 Bad Request", error)
        except (OSError, TimeoutError) as error:
            _refuse(writer, "502 Bad Gateway", error)
        else:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                to_them.write(onward)
            try:
                await asyncio.gather(_pump(reader, to_them), _pump(theirs, writer))
            finally:
                to_them.close()


def _wanted(head: bytes) -> tuple[str, str, int, bytes]:
    """Method, host and port of a request to a proxy, and the head that goes on to the host."""
    first, *headers = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    if method == "CONNECT":
        authority = urlsplit(f"//{target}")
        if authority.hostname is None or authority.port is None:
            raise ValueError("CONNECT needs HOST:PORT")
        return method, authority.hostname, authority.port, b""
    url = urlsplit(target)
    if url.scheme != "http" or url.hostname is None:
        raise ValueError("a proxy is asked for http:// addresses")
    kept = [each for each in headers if not each.lower().startswith(_HEADERS_OF_THE_PROXY)]
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    # The name that was checked is the one that is asked for.
    host = url.netloc.rpartition("@")[2]
    lines = [f"{method} {path} {version}", f"Host: {host}", "Connection: close", *kept]
    return method, url.hostname, url.port or 80, "\r\n".join(lines).encode("latin-1")


def _refuse(writer: asyncio.StreamWriter, status: str, error: Exception) -> None:
    body = f"{error or type(error).__name__}\n".encode(errors="replace")
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
