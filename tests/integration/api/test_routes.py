"""What a declaration asks for is read, checked and answered: forms, bytes, streams."""

import asyncio
import socket
import zlib

import aiohttp
import pytest
from pydantic import BaseModel

from codex32 import (
    AccessDenied,
    ApiResponse,
    BotNotFound,
    EventStream,
    Route,
    ServerSentEvent,
)
from codex32.api import streaming
from codex32.api.reading import Strict
from codex32.api.server import serving

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PATH = "/api/v1/plugins/shelf/x"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Sent(Strict):
    name: str
    count: int = 1


def route(handler, method="POST", **more):
    return Route(method, "/x", "shelf.x", "plugins.use", handler, **more)


# forms


@pytest.fixture
async def form(api_with):
    async def handler(request):
        return request.body.model_dump()

    return await api_with(route(handler, form=Sent))


async def test_a_form_is_read_as_its_model(form):
    answer = await form("POST", PATH, data="name=J%C3%B6rg+B&count=2", headers=FORM)
    assert answer.json == {"name": "Jörg B", "count": 2}


@pytest.mark.parametrize(
    ("data", "status", "paths"),
    [
        ("count=no&wrong=1", 422, ["name", "count", "wrong"]),
        ("name=a&name=b", 422, ["name"]),
        ("", 422, ["name"]),
        ("name=%ff", 400, None),
        ("&".join(f"a{n}=1" for n in range(101)), 400, None),
    ],
)
async def test_a_form_that_does_not_fit_is_refused_with_all_its_faults(form, data, status, paths):
    answer = await form("POST", PATH, data=data, headers=FORM)
    assert answer.status == status
    if paths:
        assert [fault["path"] for fault in answer.json["errors"]] == paths


async def test_a_form_is_not_read_from_json(form):
    assert (await form("POST", PATH, json={"name": "a"})).status == 415


async def test_another_standards_errors_are_answered_as_it_says(api_with):
    async def handler(request):
        raise AccessDenied("that")

    def refusal(error):
        if error.code == "request-invalid":
            return ApiResponse({"error": "invalid_request"}, 400)
        return None

    call = await api_with(route(handler, form=Sent, refusal=refusal))
    refused = await call("POST", PATH, data="", headers=FORM)
    assert (refused.status, refused.json) == (400, {"error": "invalid_request"})
    other = await call("POST", PATH, data="name=a", headers=FORM)
    assert (other.status, other.json["code"]) == (403, "access-denied")


# bytes


@pytest.fixture
async def raw(api_with):
    async def handler(request):
        told = f"{request.content_type} {request.headers['x-own']} {request.query}".encode()
        return ApiResponse(request.body + told, content_type="application/octet-stream")

    return await api_with(route(handler, raw=True, max_bytes=8))


async def test_a_raw_body_comes_untouched_whatever_its_type(raw):
    headers = {"X-Own": "1", "Content-Type": "Text/X-Odd; a=b"}
    answer = await raw("POST", f"{PATH}?a=1&b=2", data=b'{"a": 1', headers=headers)
    assert answer.text == "{\"a\": 1text/x-odd 1 {'a': '1', 'b': '2'}"
    assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_a_body_above_the_routes_limit_is_refused_packed_or_not(raw):
    async def chunks():
        yield b"12345"
        yield b"6789"

    packed = {"X-Own": "1", "Content-Encoding": "deflate"}
    for body, headers in ((b"123456789", {"X-Own": "1"}), (chunks(), {"X-Own": "1"})):
        assert (await raw("POST", PATH, data=body, headers=headers)).status == 413
    bomb = zlib.compress(b"0" * 100_000)
    refused = await raw("POST", PATH, data=bomb, headers=packed)
    assert refused.status == 413
    assert "8 bytes" in refused.json["detail"]


# streams


class Source:
    """Events as a test puts them in; knows whether it was closed."""

    def __init__(self):
        self.queue, self.closed = asyncio.Queue(), asyncio.Event()

    async def events(self):
        try:
            while (event := await self.queue.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed.set()

    async def handler(self, request):
        return ApiResponse(EventStream(self.events()), headers={"X-Own": "1"})


class Told(BaseModel):
    a: int


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def stream_route(source):
    kind = "text/event-stream"
    return route(source.handler, "GET", content_type=kind, response=Told)


@pytest.fixture
async def streaming_api(api_with, stream_route):
    return await api_with(stream_route)


def listening(client, token="a token of the test"):
    return client.session.get(client.url + PATH, headers={"Authorization": f"Bearer {token}"})


async def test_events_come_one_by_one_with_the_headers_of_every_answer(streaming_api, source):
    async with listening(streaming_api) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Own"] == "1"
        assert response.headers["X-Request-Id"]
        assert await response.content.readuntil(b"\n\n") == b": hello\n\n"
        for number in (1, 2):
            source.queue.put_nowait(ServerSentEvent({"a": number}, id=str(number)))
            event = await response.content.readuntil(b"\n\n")
            assert event == b'id: %d\ndata: {"a":%d}\n\n' % (number, number)
        source.queue.put_nowait(None)
        assert await response.content.read() == b""
    assert source.closed.is_set()


async def test_a_stream_refuses_strangers(streaming_api, source):
    assert (await streaming_api("GET", PATH, token=None)).status == 401


async def test_a_quiet_stream_is_kept_open_and_ends_when_its_client_leaves(
    streaming_api, source, monkeypatch
):
    monkeypatch.setattr(streaming, "PING_SECONDS", 0.01)
    async with listening(streaming_api) as response:
        await response.content.readuntil(b": ping\n\n")
        response.close()
    await asyncio.wait_for(source.closed.wait(), 60)


async def test_streams_end_when_the_process_stops(runtime, monkeypatch, stream_route, source):
    monkeypatch.setattr(runtime.plugins, "api_routes", lambda: [("shelf", stream_route)])
    headers = {"Authorization": "Bearer a token of the test"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with serving(runtime, "127.0.0.1", 0) as url:
            response = await session.get(url + PATH)
        assert await response.read() == b": hello\n\n"
    assert source.closed.is_set()


async def test_a_fault_in_the_middle_is_told_as_the_last_event(streaming_api, source):
    async with listening(streaming_api) as response:
        source.queue.put_nowait(BotNotFound("no bot ping"))
        text = await response.text()
    assert "event: problem\n" in text
    assert '"code":"bot-not-found"' in text


async def test_a_client_that_takes_nothing_is_let_go(streaming_api, source, monkeypatch):
    monkeypatch.setattr(streaming, "PATIENCE_SECONDS", 0.05)
    _, _, place = streaming_api.url.partition("//")
    host, _, port = place.partition(":")
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.to_thread(lazy.connect, (host, int(port)))
        head = (
            f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a token of the test\r\n\r\n"
        )
        await asyncio.to_thread(lazy.sendall, head.encode())
        for _ in range(200):
            source.queue.put_nowait(ServerSentEvent("x" * 100_000))
        await asyncio.wait_for(source.closed.wait(), 60)
    assert not source.queue.empty()


async def test_the_document_tells_of_forms_bytes_and_streams(api_with, source, stream_route):
    async def handler(request):
        return None

    routes = [
        Route("POST", "/f", "shelf.f", "plugins.use", handler, form=Sent, description="More."),
        Route("POST", "/r", "shelf.r", "plugins.use", handler, raw=True, content_type="text/html"),
        stream_route,
    ]
    paths = (await api_with(*routes)).document["paths"]
    form, raw, stream = (
        paths[f"/api/v1/plugins/shelf/{name}"][method]
        for name, method in (("f", "post"), ("r", "post"), ("x", "get"))
    )
    assert list(form["requestBody"]["content"]) == [FORM["Content-Type"]]
    assert form["description"] == "More."
    assert list(raw["requestBody"]["content"]) == ["*/*"]
    assert list(raw["responses"]["200"]["content"]) == ["text/html"]
    (told,) = stream["responses"]["200"]["content"].items()
    assert told[0] == "text/event-stream"
    assert told[1]["x-event"] == {"$ref": "#/components/schemas/Told"}
