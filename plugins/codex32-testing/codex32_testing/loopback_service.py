"""A service on this machine with a mind of its own, that misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from codex32 import JSON
from codex32_testing.loopback import Reply, Request


@dataclass
class LoopbackService:
    """Serves on 127.0.0.1, any free port, from a thread of its own, while it is entered.

    So it can be asked from any thread and any event loop, by SDKs that wait.

    Attributes:
      answer: What answers a request, called on the service's thread, one request at a time.
      requests: Every request that came, in order; values of a name that is there twice are lines.
      faults: Replies to the next requests, instead of what ``answer`` would say.
    """

    answer: Callable[[Request], tuple[int, JSON]]
    requests: list[Request] = field(default_factory=list)
    faults: deque[Reply] = field(default_factory=deque)
    url: str = ""

    def __enter__(self) -> Self:
        started: Future[str] = Future()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(started),))
        self._thread.start()
        self.url = started.result(timeout=30)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=30)

    async def _serve(self, started: Future[str]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(
            web.Server(self._handle), shutdown_timeout=0.1, handler_cancellation=True
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        started.set_result(f"http://{host}:{port}")
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(
            request.method,
            request.path,
            _query(request),
            headers,
            await _body(request),
        )
        self.requests.append(asked)
        if self.faults:
            return await _misbehave(request, self.faults.popleft())
        status, content = self.answer(asked)
        return web.json_response(content, status=status)


def _query(request: web.BaseRequest) -> dict[str, str]:
    # Of a name that comes several times, all values: ``ids=a&ids=b``.
    names = dict.fromkeys(request.query)
    return {name: "\n".join(request.query.getall(name)) for name in names}


async def _body(request: web.BaseRequest) -> bytes:
    # aiohttp itself refuses more than a megabyte; services of vectors take more.
    return b"".join([part async for part in request.content.iter_any()])


async def _misbehave(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    await asyncio.sleep(reply.delay_seconds)
    content, headers = reply.content()
    if reply.cut_after is None:
        return web.Response(status=reply.status, body=content, headers=headers)
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(content) + 1  # promised, and never kept
    await response.prepare(request)
    await response.write(content[: reply.cut_after])
    if request.transport is not None:
        request.transport.close()
    return response


#: What services and what stands before them answer on bad days; by name.
FAULTS: dict[str, Any] = {
    "busy": Reply(status=429, json={"error": "slow down"}, headers={"Retry-After": "7"}),
    "down": Reply(status=500, json={"error": "oops"}),
    "gateway": Reply(status=502, body=b"<html>bad gateway</html>"),
    "away": Reply(status=503, body=b""),
    "torn": Reply(body=b'{"result": {"points": [{"id"', headers={"Content-Type": "text/json"}),
    "html": Reply(body=b"<html>ok</html>", headers={"Content-Type": "text/html"}),
    "empty": Reply(body=b"{}", headers={"Content-Type": "application/json"}),
    "cut": Reply(body=b'{"result": true}', cut_after=3),
    "silent": Reply(status=503, delay_seconds=3),
}
#: Of those, what a provider's error is called.
TOLD: dict[str, str] = dict.fromkeys(FAULTS, "ProviderUnavailable") | {
    "busy": "ProviderRateLimited"
}
