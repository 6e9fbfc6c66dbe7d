"""The protocol: a request that is no HTTP is refused like any other, and counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

log = logging.getLogger(__name__)

#: Makes the answer to what never came to the guard: why, and from which address.
Refuse = Callable[[Exception, str], web.Response]
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
REFUSE: web.AppKey[Refuse] = web.AppKey("refuse")


class Runner(web.AppRunner):
    """Runs an application whose ``REFUSE`` answers what the library would answer by itself.

    The library's own answers are plain text that quotes the fault, which may be a password.
    """

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(server, self.app[REFUSE], **self._kwargs)


class _Server(web.Server):
    def __init__(self, server: web.Server, refuse: Refuse, **options: Any) -> None:
        handler = _refusing(server.request_handler, refuse)
        super().__init__(handler, request_factory=server.request_factory)
        self._refuse, self._options = refuse, options

    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return _Connection(self, self._refuse, loop=loop, **self._options)


class _Connection(web.RequestHandler):
    __slots__ = ("_refuse",)

    def __init__(self, server: web.Server, refuse: Refuse, **options: Any) -> None:
        super().__init__(server, **options)
        self._refuse = refuse

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
        response = self._refuse(fault, request.remote or "")
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
