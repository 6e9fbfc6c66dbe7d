import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable

import pytest
from aiohttp.abc import AbstractResolver

from codex32.outside.http import GuardedHttpClient

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def head(status: int = 200, reason: str = "OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def plain(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    return head(status, content_length=str(len(body)), **headers) + body


class RoughServer:
    """Speaks bytes, so that it can misbehave; ``routes`` maps a path to bytes or a coroutine."""

    def __init__(self) -> None:
        self.routes: dict[str, bytes | Answer] = {}
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in request.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                request += await reader.readexactly(length)
                self.requests.append(request)
                answer = self.routes[request.split()[1].decode().partition("?")[0]]
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server():
    rough = RoughServer()
    listening = await asyncio.start_server(rough.serve, "127.0.0.1", 0)
    rough.port = listening.sockets[0].getsockname()[1]
    yield rough
    listening.close()


class FixedResolver(AbstractResolver):
    """Answers from a list, one answer a look-up; the last one stays."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": family,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self):
        pass


@pytest.fixture
def resolver():
    return FixedResolver


@pytest.fixture
async def open_client():
    """Opens guarded clients and closes them after the test."""
    opened = []

    def open_one(**settings) -> GuardedHttpClient:
        opened.append(GuardedHttpClient(**settings))
        return opened[-1]

    yield open_one
    for client in opened:
        await client.close()


@pytest.fixture
def client(open_client, server):
    """A client that may speak to the rough server."""
    return open_client(private_hosts=[f"127.0.0.1:{server.port}"])


@pytest.fixture
def bytes_of():
    """Builds whole answers."""
    return plain


@pytest.fixture
def head_of():
    """Builds the head of an answer."""
    return head


@pytest.fixture
def bomb():
    """Ten megabytes in some ten kilobytes."""
    return gzip.compress(bytes(10 * 1024 * 1024))
