"""What the HTTP services have in common: faults that are scripted, and an honest account."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Fault:
    """One spoilt answer.

    Attributes:
      status: Answered instead of the service's own answer; None keeps that.
      body: Answered with ``status``.
      headers: Added to the answer.
      does: Whether the service does what it was asked before it answers badly.
      silent: It never answers; the connection stays open until the server stops.
      cut: The connection is cut after this many bytes of the answer.
    """

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    does: bool = False
    silent: bool = False
    cut: int | None = None

    @classmethod
    def too_many(cls, retry_after: str = "7") -> Fault:
        """429."""
        return cls(429, headers={"Retry-After": retry_after})

    @classmethod
    def html(cls) -> Fault:
        """A page of some proxy with status 200; nothing was done."""
        return cls(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})

    @classmethod
    def torn(cls) -> Fault:
        """Done, and the connection cut in the middle of the answer."""
        return cls(does=True, cut=5)

    @classmethod
    def mute(cls) -> Fault:
        """Done, and never answered."""
        return cls(does=True, silent=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answers by itself."""

    status: int = 200
    json: Any = None
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class ServiceServer(ABC):
    """Serves on 127.0.0.1, any free port, while it is entered.

    Attributes:
      asked: Every request that came, whatever became of it.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._faults: list[Fault | None] = []
        self._stopped = asyncio.Event()
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.1)
        self._base = ""

    @abstractmethod
    def answer(self, asked: Asked) -> Answer:
        """Do what was asked, and say what came of it."""

    def misbehave(self, *faults: Fault | None) -> None:
        """Spoil the next answers, one each; None leaves one as it is."""
        self._faults.extend(faults)

    def url(self, path: str = "") -> str:
        """The whole URL of ``path``."""
        return self._base + path

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._base = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stopped.set()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        asked = Asked(request.method, request.path, dict(request.query), headers, body)
        self.asked.append(asked)
        fault = self._faults.pop(0) if self._faults else None
        if fault is None:
            return _response(self.answer(asked))
        answer = self.answer(asked) if fault.does else Answer()
        if fault.silent:
            await self._stopped.wait()
        if fault.status is not None:
            return web.Response(status=fault.status, body=fault.body, headers=dict(fault.headers))
        whole = _response(answer)
        if fault.cut is None:
            return whole
        content = whole.body if isinstance(whole.body, bytes) else b""
        torn = web.StreamResponse(
            status=whole.status, headers={"Content-Type": whole.content_type}
        )
        torn.content_length = len(content) + 1
        await torn.prepare(request)
        await torn.write(content[: fault.cut])
        if request.transport is not None:
            request.transport.close()
        return torn


def _response(answer: Answer) -> web.Response:
    headers = dict(answer.headers)
    if answer.json is None:
        return web.Response(status=answer.status, text=answer.text, headers=headers)
    return web.json_response(answer.json, status=answer.status, headers=headers)
