"""The protocol: who comes is counted, and what is no HTTP is refused like any other request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from codex32.api.sockets import Sockets, SocketsFull

log = logging.getLogger(__name__)

#: An answer has so long to be taken, and longer the more of it there is.
TAKING_SECONDS, TAKING_BYTES_A_SECOND = 30.0, 16 * 1024
#: Who is turned away has so long to read why, and so many at a time are told.
PARTING_SECONDS, PARTING = 2.0, 64

#: Makes the answer to what never came to the guard: why, and from which address.
Refuse = Callable[[Exception, str], web.Response]
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
REFUSE: web.AppKey[Refuse] = web.AppKey("refuse")


class Runner(web.AppRunner):
    """Runs an application whose ``REFUSE`` answers what the library would answer by itself.

    The library's own answers are plain text that quotes the fault, which may be a password.

    Args:
      app: The application.
      sockets: How many connections there may be; else any number.
      options: Of the library.
    """

    def __init__(
        self, app: web.Application, sockets: Sockets | None = None, **options: Any
    ) -> None:
        super().__init__(app, **options)
        self._sockets = sockets or Sockets()

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(server, self.app[REFUSE], self._sockets, **self._kwargs)


class _Server(web.Server):
    def __init__(
        self, server: web.Server, refuse: Refuse, sockets: Sockets, **options: Any
    ) -> None:
        handler = _refusing(server.request_handler, refuse)
        super().__init__(handler, request_factory=server.request_factory)
        self.refuse, self.sockets, self._options = refuse, sockets, options
        #: Connections that were turned away and are told so.
        self.parting = 0

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), **self._options)

    def make_room(self) -> bool:
        """Let go of the oldest connection on which nothing is asked; whether there is one."""
        for each in self._connections:
            if cast("_Connection", each).is_idle:
                each.force_close()
                return True
        return False


class _Connection(web.RequestHandler):
    __slots__ = ("_address", "_counted", "_server", "_taking")

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server, self._address, self._counted = server, "", False
        self._taking: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, or for the rest of one's head."""
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come; nothing was asked yet."""
        transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else ""
        try:
            self._server.sockets.enter(self._address, self._server.make_room)
        except SocketsFull as full:
            self._turn_away(transport, full)
            return
        self._counted = True
        # We are told as soon as anything is not taken at once.
        transport.set_write_buffer_limits(high=0)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The other end is gone, or was let go."""
        if self._counted:
            self._counted = False
            self._server.sockets.leave(self._address)
        self._taken()
        super().connection_lost(exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; what is left of a packed body is not unpacked to be thrown away."""
        if request.content.is_eof() or "Content-Encoding" not in request.headers:
            return await super().finish_response(request, resp, start_time)
        resp.force_close()
        answer = await super().finish_response(request, resp, start_time)
        if self.transport is not None:
            self._part(self.transport)
        return answer

    def pause_writing(self) -> None:
        """The other end has not taken what was sent; it must before long, else it is let go."""
        super().pause_writing()
        transport = self.transport
        if transport is not None:
            size = transport.get_write_buffer_size()
            seconds = TAKING_SECONDS + size / TAKING_BYTES_A_SECOND
            self._taking = self._loop.call_later(seconds, transport.abort)

    def resume_writing(self) -> None:
        """It has taken everything."""
        self._taken()
        super().resume_writing()

    def _taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _turn_away(self, transport: asyncio.Transport, why: SocketsFull) -> None:
        """Say why, as far as that costs nothing: what comes in is not looked at."""
        if self._server.parting < PARTING:
            transport.write(_bytes(self._server.refuse(why, self._address)))
        self._part(transport)

    def _part(self, transport: asyncio.Transport) -> None:
        """End a connection without looking at what else comes in."""
        self._force_close = True
        if self._server.parting >= PARTING:
            transport.abort()
            return
        # What was sent is lost if the connection is closed while something comes in.
        transport.write_eof()
        transport.resume_reading()
        self._server.parting += 1
        self._loop.call_later(PARTING_SECONDS, self._parted, transport)

    def _parted(self, transport: asyncio.Transport) -> None:
        self._server.parting -= 1
        transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a fault that no handler saw; the connection ends with it."""
        fault = exc if isinstance(exc, Exception) else TimeoutError()
        log.info("a request is none: %s", type(fault).__name__)
        if request.writer.output_size:
            raise ConnectionError("an answer has begun already") from None
        response = self._server.refuse(fault, request.remote or "")
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:
        """What a client breaks off after it was answered is its fault: a word is enough."""
        fault = options.get("exc_info")
        if isinstance(fault, (HttpProcessingError, web.RequestPayloadError)):
            log.info("the rest of a request is none: %s", type(fault).__name__)
        else:
            super().log_exception(*args, **options)


def _refusing(handler: _Handler, refuse: Refuse) -> _Handler:
    """The handler; what the library refuses before it asks the guard is refused by us."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return refuse(error, request.remote or "")

    return answer


def _bytes(response: web.Response) -> bytes:
    """An answer to what was not read."""
    body = response.body if isinstance(response.body, bytes) else b""
    told = {**response.headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in told.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
