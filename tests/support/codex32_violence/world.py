"""The outside world: counts what reaches it. A process of its own, so that no test slows it.

``POST /KIND?ms=N`` with ``{"key": …}`` is an effect; it is counted when the request is read, and
answered N milliseconds later. Of the kind ``flaky`` the first request of each key is refused
with 503 and not counted; of ``cut`` the connection breaks after the counting. ``GET /counts``
gives ``{key: {"count": …, "keys": [the idempotency keys that came with it]}}``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Effect:
    """What reached the world under one key."""

    count: int
    keys: frozenset[str]


class World:
    """The world as a test sees it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def effects(self) -> dict[str, Effect]:
        """Everything that has reached it."""
        with urllib.request.urlopen(f"{self.url}/counts", timeout=30) as answer:
            told = json.loads(answer.read())
        return {key: Effect(e["count"], frozenset(e["keys"])) for key, e in told.items()}


@contextmanager
def world() -> Iterator[World]:
    """A world, for as long as the block runs."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield World(int(process.stdout.readline()))
        finally:
            process.kill()


class _Server:
    def __init__(self) -> None:
        self.effects: dict[str, dict[str, Any]] = {}
        self.refused: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        target = urlsplit(first.split()[1])
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if target.path == "/counts":
            return await self._say(writer, 200, self.effects)
        kind, key = target.path.strip("/"), json.loads(body)["key"]
        if kind == "flaky" and key not in self.refused:
            self.refused.add(key)
            return await self._say(writer, 503, {"busy": True})
        known = self.effects.setdefault(key, {"count": 0, "keys": []})
        known["count"] += 1
        if (sent := headers.get("idempotency-key")) and sent not in known["keys"]:
            known["keys"].append(sent)
        await asyncio.sleep(int(parse_qs(target.query).get("ms", ["0"])[0]) / 1000)
        if kind == "cut":
            return False
        return await self._say(writer, 200, {"number": known["count"]})

    @staticmethod
    async def _say(writer: asyncio.StreamWriter, status: int, value: Any) -> bool:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True


async def _main() -> None:
    server = await asyncio.start_server(_Server().serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with whoever holds the other end of our input.
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
