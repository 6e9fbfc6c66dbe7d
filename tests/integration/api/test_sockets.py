"""How many connections a process holds, and with whom it parts."""

import asyncio
import contextlib
import json
import socket

import pytest
from aiohttp import web

from codex32 import PUBLIC, ApiResponse, Route
from codex32.api import protocol
from codex32.api.application import all_operations, build_application
from codex32.api.callers import Gatekeeper
from codex32.api.protocol import Runner
from codex32.api.sockets import Sockets

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


HEALTH, WORK = get("/healthz"), get("/api/v1/plugins/shelf/work")
LARGE = get("/api/v1/plugins/shelf/large")


@pytest.fixture
async def house(runtime):
    """Serves with the sockets of the test: the port, what work begins with, what lets it end."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(sockets):
            begun, done = asyncio.Semaphore(0), asyncio.Event()

            async def work(request):
                begun.release()
                await done.wait()
                return {}

            async def large(request):
                return ApiResponse(b"x" * 20_000_000, content_type="application/octet-stream")

            shelf = [
                Route("GET", "/work", "shelf.work", PUBLIC, work),
                Route("GET", "/large", "shelf.large", PUBLIC, large),
            ]
            runtime.plugins.api_routes = lambda: [("shelf", each) for each in shelf]
            app = build_application(all_operations(runtime), Gatekeeper("t"))
            runner = Runner(app, sockets, access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            stack.callback(done.set)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return runner.addresses[0][1], begun, done

        yield start


@pytest.fixture
async def connect():
    """Opens connections to a port, and sends there."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_one(port, sent=b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(sent)
            return reader, writer

        yield open_one


async def answer(reader):
    """Status, headers and body of what comes."""
    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers, json.loads(body)


async def test_who_asks_nothing_gives_way_the_oldest_first(house, connect):
    port, _, _ = await house(Sockets(2))
    oldest, _ = await connect(port, b"GET /healthz HTTP/1.1\r\nHo")  # a head that never ends
    second, writer = await connect(port, HEALTH)
    assert (await answer(second))[0] == 200
    third, _ = await connect(port, HEALTH)
    assert (await answer(third))[0] == 200
    async with asyncio.timeout(60):
        assert await oldest.read() == b""
    writer.write(HEALTH)
    assert (await answer(second))[0] == 200


async def test_where_all_are_at_work_newcomers_are_told_until_one_is_done(house, connect):
    refused = []
    port, begun, done = await house(Sockets(2, refused=refused.append))
    busy = [(await connect(port, WORK))[0] for _ in range(2)]
    async with asyncio.timeout(60):
        for _ in busy:
            await begun.acquire()
    newcomer, _ = await connect(port, HEALTH)
    told, headers, body = await answer(newcomer)
    assert (told, headers["retry-after"], headers["connection"]) == (503, "5", "close")
    assert headers["content-type"] == "application/problem+json"
    assert (body["code"], body["request_id"]) == ("sockets-full", headers["x-request-id"])
    assert refused == ["process"]
    done.set()
    assert [(await answer(each))[0] for each in busy] == [200, 200]
    later, _ = await connect(port, HEALTH)
    assert (await answer(later))[0] == 200


async def test_one_address_has_no_more_than_its_part_though_it_asks_nothing(house, connect):
    port, _, _ = await house(Sockets(9, 1))
    first, writer = await connect(port, HEALTH)
    assert (await answer(first))[0] == 200
    second, _ = await connect(port, HEALTH)
    assert (await answer(second))[2]["code"] == "sockets-full"
    writer.close()
    await writer.wait_closed()
    told = 503
    async with asyncio.timeout(60):
        while told == 503:  # until the server sees that it is gone
            third, _ = await connect(port, HEALTH)
            told = (await answer(third))[0]
    assert told == 200


async def test_more_than_can_be_told_are_parted_with_at_once(house, connect, monkeypatch):
    monkeypatch.setattr(protocol, "PARTING", 1)
    port, _, _ = await house(Sockets(9, 1))
    first, _ = await connect(port, HEALTH)
    assert (await answer(first))[0] == 200
    second, _ = await connect(port)
    assert (await answer(second))[0] == 503
    third, _ = await connect(port)
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionResetError):
            assert await third.read() == b""


async def test_who_takes_nothing_of_an_answer_is_let_go(house, monkeypatch):
    monkeypatch.setattr(protocol, "TAKING_SECONDS", 0.05)
    monkeypatch.setattr(protocol, "TAKING_BYTES_A_SECOND", 10**12)
    sockets = Sockets(1)
    port, _, _ = await house(sockets)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        client.sendall(LARGE)
        async with asyncio.timeout(60):
            while not sockets.held:
                await asyncio.sleep(0.01)
            while sockets.held:
                await asyncio.sleep(0.01)
