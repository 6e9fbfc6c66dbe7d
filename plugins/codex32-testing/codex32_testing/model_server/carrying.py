"""Sending an answer's bytes, whole or in a stream, and losing them on the way as told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiohttp import web

from codex32_testing.model_server.turns import Carriage


class ConnectionCut(Exception):
    """The server closed the connection, as it was told."""


async def wait(request: web.BaseRequest, carriage: Carriage) -> None:
    """What comes before the first byte.

    Raises:
      ConnectionCut: None will come.
    """
    if carriage.drop:
        cut(request)
    if carriage.silent:
        await asyncio.Event().wait()  # until the client leaves, which cancels this
    if carriage.delay_seconds:
        await asyncio.sleep(carriage.delay_seconds)


def cut(request: web.BaseRequest) -> None:
    """Close the connection under the client.

    Raises:
      ConnectionCut: Always.
    """
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionCut


async def send_whole(
    request: web.BaseRequest,
    carriage: Carriage,
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> web.StreamResponse:
    """Send one body of known length; ``cut_after`` keeps half of it back."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    if carriage.cut_after is not None:
        await response.write(body[: len(body) // 2])
        cut(request)
    await _write(response, body, carriage.pause_seconds)
    await response.write_eof()
    return response


async def send_events(
    request: web.BaseRequest,
    carriage: Carriage,
    *,
    headers: Mapping[str, str],
    events: Iterable[bytes],
    error: bytes,
) -> web.StreamResponse:
    """Send events of a stream, each as soon as it is there."""
    sent = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    response = web.StreamResponse(headers={**sent, **headers})
    await response.prepare(request)
    for place, event in enumerate(events):
        if place == carriage.cut_after:
            cut(request)
        if place == carriage.error_after:
            await response.write(error)
            break
        await _write(response, event, carriage.pause_seconds)
        await asyncio.sleep(0)
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, body: bytes, pause_seconds: float) -> None:
    if not pause_seconds:
        await response.write(body)
        return
    for place in range(len(body)):
        await response.write(body[place : place + 1])
        await asyncio.sleep(pause_seconds)
