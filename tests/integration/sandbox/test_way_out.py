"""The proxy of programs: each connection carries one request, of bounded size and number."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from contextlib import suppress

import pytest

from codex32.outside.sandboxes.proxy import Proxy, Request
from codex32.outside.sandboxes.way_out import Ways
from codex32_testing.loopback import LoopbackServer, Reply


class Host:
    """A server that keeps a connection open and writes down all it is sent."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.port = 0
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Host:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered = False
        while data := await reader.read(65536):
            self.heard += data
            if not answered and self.heard.endswith((b"\r\n\r\n", b"body")):
                answered = True
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        self._ended.set()
        writer.close()

    async def ended(self) -> None:
        async with asyncio.timeout(60):
            await self._ended.wait()


@pytest.fixture
async def serve():
    """Serves a proxy for 127.0.0.1 with these limits; gives a function that connects to it."""
    tasks, writers = [], []

    def start(**limits):
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        proxy = Proxy(Ways.of(["127.0.0.1"], ["127.0.0.1"]), **limits)
        tasks.append(asyncio.ensure_future(proxy.serve(listening)))

        async def connect():
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writers.append(writer)
            return reader, writer

        return connect

    yield start
    for writer in writers:
        writer.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def all_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        return await reader.read()


@pytest.mark.parametrize(
    ("head", "body"),
    [("", b""), ("Content-Length: 4\r\n", b"body")],
    ids=["without a body", "with a body"],
)
async def test_what_follows_a_request_reaches_nobody(serve, head, body):
    async with Host() as host:
        reader, writer = await serve()()
        wanted = f"POST http://127.0.0.1:{host.port}/a HTTP/1.1\r\n{head}\r\n".encode() + body
        second = b"GET http://elsewhere.example/secret HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"
        writer.write(wanted + second)
        async with asyncio.timeout(60):
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.write(second)
        writer.close()
        assert b"elsewhere" not in host.heard
        assert host.heard.endswith(body or b"\r\n\r\n")
        assert b"Connection: close" in host.heard


async def test_a_body_in_chunks_goes_on_and_ends_where_it_says(serve):
    async with Host() as host:
        reader, writer = await serve()()
        writer.write(
            f"PUT http://127.0.0.1:{host.port}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nGET http://elsewhere.example/".encode()
        )
        async with asyncio.timeout(60):
            await reader.readuntil(b"ok")
        assert host.heard.endswith(b"\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        "GET http://a/ HTTP/1.1\r\nX: 1\nHost: b",
        "GET http://a/ HTTP/1.1\r\n Host: b",
        "GET http://a/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
        "GET http://a/ HTTP/1.1\r\nContent-Length: +1",
        "GET http://a/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        "GET http://a/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
        "GET http://a/ HTTP/2.0",
        "GET /a HTTP/1.1",
        "GET file:///etc/passwd HTTP/1.1",
        "CONNECT a HTTP/1.1",
        "CONNECT a:b HTTP/1.1",
        "nonsense",
        "GET\t/b\tHTTP/1.1\nHost:b\nX: http://a/ HTTP/1.1",
        "GET\n http://a/ HTTP/1.1",
        "GET http://a/\x0bb HTTP/1.1",
        "GET http://a/\xa0HTTP/1.1\nHost:b HTTP/1.1",
        "GET http://a/\tb HTTP/1.1",
        "POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked",
    ],
    ids=[
        "newline", "folded", "two lengths", "signed", "both", "codings",
        "version", "no host", "file", "no port", "no number", "nonsense",
        "request in a method", "newline in a method", "space in a target", "line in a target",
        "tab in a target", "chunks in 1.0",
    ],
)  # fmt: skip
def test_what_two_might_read_differently_is_refused(head):
    with pytest.raises(ValueError, match=r".+"):
        Request.of(f"{head}\r\n\r\n".encode())


def test_a_name_and_no_password_goes_on():
    request = Request.of(
        b"GET http://u:p@a.example:81/x?y HTTP/1.1\r\nHost: other\r\nUpgrade: h2c\r\nA: b\r\n\r\n"
    )
    assert (request.host, request.port) == ("a.example", 81)
    assert request.onward == (
        b"GET /x?y HTTP/1.1\r\nHost: a.example:81\r\nConnection: close\r\nA: b\r\n\r\n"
    )


async def test_only_so_many_connections_are_open_at_once(serve):
    async with Host() as host:
        connect = serve(most_connections=2)
        lines = []
        for _ in range(2):
            reader, writer = await connect()
            writer.write(f"CONNECT 127.0.0.1:{host.port} HTTP/1.1\r\n\r\n".encode())
            async with asyncio.timeout(60):
                assert b"200" in await reader.readuntil(b"\r\n\r\n")
            lines.append(writer)
        reader, writer = await connect()
        writer.write(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")
        refused = await all_of(reader)
        assert b"403" in refused
        assert b"2 connections" in refused
        lines[0].close()
        await host.ended()
        async with asyncio.timeout(60):
            while True:
                reader, writer = await connect()
                writer.write(f"CONNECT 127.0.0.1:{host.port} HTTP/1.1\r\n\r\n".encode())
                if b"200" in await reader.read(100):
                    break


async def test_however_many_connections_a_program_opens_few_are_held_for_it(serve):
    before = len(os.listdir("/proc/self/fd"))
    connect = serve(most_connections=2)
    lines = [await connect() for _ in range(40)]
    for _ in range(20):  # the proxy has its turn
        await asyncio.sleep(0.01)
    # Ours and, of those that were accepted, the proxy's; and what it listens on.
    assert len(os.listdir("/proc/self/fd")) - before <= len(lines) + 2 + 4 + 1
    for _, writer in lines:
        writer.close()
    async with asyncio.timeout(60):
        told = b""
        while b"allow.hosts" not in told:  # those that waited are still being looked at
            reader, writer = await connect()
            writer.write(b"CONNECT elsewhere.example:1 HTTP/1.1\r\n\r\n")
            told = await all_of(reader)


async def test_who_never_reads_holds_no_more_connections_than_others(serve, monkeypatch):
    """Each breaks off in the middle of its request, with an answer on the way to it."""
    monkeypatch.setattr("codex32.outside.sandboxes.proxy._LAST_SECONDS", 0.05)
    ended = 0

    async def flood(reader, writer):
        nonlocal ended
        with suppress(OSError):
            while True:
                writer.write(bytes(1 << 20))
                await writer.drain()
        ended += 1

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    # One that is broken off is counted until nobody waits for its answer to be read any more.
    connect = serve(most_connections=4)
    request = f"PUT http://127.0.0.1:{port}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(4):
        reader, writer = await connect()
        writer.write(request.encode())
        async with asyncio.timeout(60):
            assert b" 403 " not in await reader.readexactly(100)
        writer.write(b"no size\r\n")
    async with asyncio.timeout(60):
        while ended < 4:
            await asyncio.sleep(0.01)
    server.close()


async def test_a_chunk_whose_size_has_no_end_is_refused_in_silence(serve, caplog):
    async with Host() as host:
        reader, writer = await serve()()
        head = f"PUT http://127.0.0.1:{host.port}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode() + b"1" * 200_000)
        await all_of(reader)
        await host.ended()
    gc.collect()
    assert caplog.records == []


async def test_only_so_much_is_carried(serve, loopback_server: LoopbackServer):
    loopback_server.reply("/big", Reply(body=b"x" * 3_000_000))
    connect = serve(most_bytes=1_000_000)
    request = f"GET {loopback_server.url('/big')} HTTP/1.1\r\n\r\n".encode()
    reader, writer = await connect()
    writer.write(request)
    assert len(await all_of(reader)) <= 1_000_000
    reader, writer = await connect()
    writer.write(request)
    assert b"403" in await all_of(reader)
