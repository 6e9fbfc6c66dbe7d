"""A real server on this machine that answers as told, and misbehaves as told."""

from __future__ import annotations

import asyncio
import json as json_module
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web

from codex32 import JSON


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
      json: Sent instead of ``body`` if it is not None.
      delay_seconds: How long the server stays silent before it answers.
      cut_after: The connection is cut after this many bytes of the body; None leaves it whole.
    """

    status: int = 200
    body: bytes = b""
    json: JSON = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    cut_after: int | None = None

    def content(self) -> tuple[bytes, dict[str, str]]:
        """The body's bytes and the headers."""
        if self.json is None:
            return self.body, dict(self.headers)
        head = {"Content-Type": "application/json", **self.headers}
        return json_module.dumps(self.json).encode(), head


@dataclass(frozen=True, slots=True)
class Request:
    """What the server was asked; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class LoopbackServer:
    """Serves on 127.0.0.1, any free port, while it is entered.

    ::

        async with LoopbackServer() as server:
            server.reply("/feed.xml", Reply(status=503), Reply(body=b"<rss/>"))
            await fetch(server.url("/feed.xml"))
            assert server.requests[0].method == "GET"

    The last reply of a path is given again and again; a path without one is answered with 404.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._replies: dict[str, list[Reply]] = {}
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        self._base = ""

    def reply(self, path: str, *replies: Reply) -> None:
        """Answer requests to ``path`` with these, one after the other."""
        self._replies.setdefault(path, []).extend(replies)

    def url(self, path: str = "/") -> str:
        """The whole URL of ``path``."""
        return self._base + path

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._base = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        self.requests.append(
            Request(request.method, request.path, dict(request.query), headers, body)
        )
        replies = self._replies.get(request.path, [Reply(status=404)])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        await asyncio.sleep(reply.delay_seconds)
        content, headers = reply.content()
        if reply.cut_after is None:
            return web.Response(status=reply.status, body=content, headers=headers)
        return await self._cut(request, reply, content, headers)

    async def _cut(
        self, request: web.BaseRequest, reply: Reply, content: bytes, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers=headers)
        response.content_length = len(content) + 1  # promised, and never kept
        await response.prepare(request)
        await response.write(content[: reply.cut_after])
        if request.transport is not None:
            request.transport.close()
        return response
