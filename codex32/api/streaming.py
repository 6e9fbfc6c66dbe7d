"""Answers that go on: server-sent events, with an end for clients that left or do not listen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from aiohttp import web

from codex32.api import errors
from codex32.api.callers import counted_as
from codex32.kernel.caller import Caller
from codex32.kernel.contracts.route import EventStream, ServerSentEvent
from codex32.kernel.errors import StreamsFull
from codex32.kernel.json_values import JSON, dumps

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/event-stream"
#: A comment goes out when nothing else did for so long, so that no proxy takes the line for dead.
PING_SECONDS = 15.0
#: A client that takes nothing for so long is let go.
PATIENCE_SECONDS = 30.0
#: So often it is asked again whether the client may still listen.
RECHECK_SECONDS = 2.0
#: One account may have as much of all places as one of so many.
SHARES = 4

_HEADERS = {"Content-Type": CONTENT_TYPE, "X-Accel-Buffering": "no"}


#: Returns while a caller may do what it asked for, and raises once it may not.
Admit: TypeAlias = "Callable[[], Awaitable[object]]"
_PING = ServerSentEvent(None)


class Streams:
    """The streams of one process: how many there are, whose they are, and when all of them end.

    Args:
      most: At a time. One account may hold a part of them, so that none shuts out all others.
    """

    def __init__(self, most: int) -> None:
        self._most, self._share = most, max(1, most // SHARES)
        self._held: Counter[str] = Counter()
        self._stopping = asyncio.Event()

    @contextlib.contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """A place for one stream while the block runs.

        Raises:
          StreamsFull: All are taken, or all that this caller may have.
        """
        who = counted_as(caller)
        if self._held.total() >= self._most:
            raise StreamsFull(f"this process serves {self._most} streams already; try later")
        if self._held[who] >= self._share:
            raise StreamsFull(f"you have {self._share} streams open, and may not have more")
        self._held[who] += 1
        try:
            yield
        finally:
            self._held[who] -= 1
            if not self._held[who]:
                del self._held[who]

    async def stop(self, _: web.Application) -> None:
        """End all streams, and those that are asked for from now on."""
        self._stopping.set()

    async def stopping(self) -> None:
        """Return when the process is about to stop."""
        await self._stopping.wait()


async def send_stream(
    request: web.Request,
    answer: EventStream,
    headers: Mapping[str, str],
    streams: Streams,
    admit: Admit,
) -> web.StreamResponse:
    """Send events until there are no more, the client is gone, or the process stops.

    Args:
      request: Whose answer it is.
      answer: What is sent.
      headers: Of the answer.
      streams: Tell when the process stops.
      admit: Asked again and again; raises once the caller may not listen any more.
    """
    response = web.StreamResponse(headers={**headers, **_HEADERS})
    try:
        await response.prepare(request)
        # Proxies and clients see at once that the stream has begun.
        await _write(request, response, b": hello\n\n")
        await _pass_on(request, response, answer.events, streams, admit)
        with contextlib.suppress(ConnectionError):
            await response.write_eof()
    except (ConnectionError, TimeoutError):
        log.debug("a client has left its stream, or takes nothing from it")
    finally:
        close = getattr(answer.events, "aclose", None)
        if close is not None:
            await close()
    return response


async def _pass_on(
    request: web.Request,
    response: web.StreamResponse,
    events: AsyncIterator[ServerSentEvent | Sequence[ServerSentEvent]],
    streams: Streams,
    admit: Admit,
) -> None:
    now = asyncio.get_running_loop().time
    ping_at, check_at = now() + PING_SECONDS, now() + RECHECK_SECONDS
    stop = asyncio.ensure_future(streams.stopping())
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            await asyncio.wait(
                {stop, coming},
                timeout=max(min(ping_at, check_at) - now(), 0),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if stop.done():
                return
            try:
                if now() >= check_at:
                    await admit()
                    check_at = now() + RECHECK_SECONDS
                event = coming.result() if coming.done() else _PING
            except Exception as error:
                await _write(request, response, encoded(_last_word(error, response)))
                return
            if event is None:
                return
            if event is not _PING:
                if isinstance(event, ServerSentEvent):
                    event = (event,)
                await _write(request, response, b"".join(map(encoded, event)))
                coming = asyncio.ensure_future(anext(events, None))
            elif now() >= ping_at:
                await _write(request, response, b": ping\n\n")
            else:
                continue
            ping_at = now() + PING_SECONDS
    finally:
        stop.cancel()
        coming.cancel()
        await asyncio.gather(stop, coming, return_exceptions=True)


async def _write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await response.write(data)
    except TimeoutError:
        # What is still to be sent would keep the connection, and us, for ever.
        if request.transport is not None:
            request.transport.abort()
        raise


def _last_word(error: Exception, response: web.StreamResponse) -> ServerSentEvent:
    """The problem document of an error that comes when the status is long sent."""
    known, _ = errors.told(error)
    document: JSON = errors.document(known, response.headers["X-Request-Id"])
    return ServerSentEvent(document, "problem")


def encoded(event: ServerSentEvent) -> bytes:
    """An event as it goes over the line."""
    text = event.data if isinstance(event.data, str) else dumps(event.data)
    lines = [f"id: {_one_line(event.id)}"] if event.id else []
    lines += [f"event: {_one_line(event.event)}"] if event.event else []
    # A line break of whatever kind would end the field, and what follows be a field of its own.
    lines += [
        f"data: {line}" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    ]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


def _one_line(text: str) -> str:
    return text.translate({10: " ", 13: " ", 0: " "})
