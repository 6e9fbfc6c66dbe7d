"""What holds for every request: limits, addresses, other sites, packed answers, versions."""

import asyncio
import dataclasses
import gzip
import json
import re

import pytest
from aiohttp.test_utils import TestClient, TestServer

from codex32 import PUBLIC, Route
from codex32.api import application
from codex32.api.application import all_operations, build_application
from codex32.api.callers import Gatekeeper
from codex32.api.guard import Keeping
from codex32.api.network import Origins, Peers
from codex32.api.rates import Limiter
from codex32_config.settings import load_settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BOTS = "/api/v1/bots"
MINE = {"Authorization": "Bearer t"}
GOOD = "https://app.example.com"


@pytest.fixture
async def kept(runtime):
    """Clients of applications whose guard goes by what the test says."""
    clients = []

    async def start(**keeping):
        app = build_application(all_operations(runtime), Gatekeeper("t"), Keeping(**keeping))
        clients.append(TestClient(TestServer(app), auto_decompress=False))
        await clients[-1].start_server()
        return clients[-1]

    yield start
    for client in clients:
        await client.close()


# how often


async def test_a_caller_who_comes_too_often_is_told_when_to_come_again(kept):
    now = [0.0]
    client = await kept(limiter=Limiter({"normal": 2}, lambda: now[0]))
    left = []
    for _ in range(2):
        async with client.get(BOTS, headers=MINE) as answer:
            assert (answer.status, answer.headers["RateLimit-Limit"]) == (200, "2")
            left.append(answer.headers["RateLimit-Remaining"])
    assert left == ["1", "0"]
    async with client.get(BOTS, headers=MINE) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "30"
        assert answer.headers["RateLimit-Remaining"] == "0"
        assert (await answer.json(content_type=None))["code"] == "too-many-requests"
    now[0] = 30.0
    async with client.get(BOTS, headers=MINE) as answer:
        assert answer.status == 200


async def test_who_tries_tokens_is_counted_by_address_and_callers_are_not_held_up(kept):
    client = await kept(limiter=Limiter({"normal": 3}, lambda: 0.0))
    wrong = {"Authorization": "Bearer wrong"}
    statuses = []
    for _ in range(5):
        async with client.get(BOTS, headers=wrong) as answer:
            statuses.append(answer.status)
    assert statuses == [401, 401, 401, 429, 429]
    async with client.get(BOTS, headers=MINE) as answer:
        assert answer.status == 200


# where from


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        ((), "203.0.113.9", "127.0.0.1"),
        (("10.0.0.0/8",), "203.0.113.9", "127.0.0.1"),
        (("127.0.0.0/8",), "203.0.113.9", "203.0.113.9"),
        (("127.0.0.0/8",), "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        (("127.0.0.0/8", "10.0.0.0/8"), "203.0.113.9, 10.1.1.1", "203.0.113.9"),
        (("127.0.0.0/8",), "", ""),
        (("127.0.0.0/8",), "<script>", ""),
        (("127.0.0.0/8",), None, "127.0.0.1"),
    ],
)
async def test_an_address_is_taken_from_proxies_that_are_trusted_and_from_nobody_else(
    kept, runtime, proxies, forwarded, address
):
    async def show(request):
        return {"address": request.caller.address}

    runtime.plugins.api_routes = lambda: [("shelf", Route("GET", "/a", "shelf.a", PUBLIC, show))]
    client = await kept(peers=Peers(proxies))
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    async with client.get("/api/v1/plugins/shelf/a", headers=headers) as answer:
        assert (await answer.json())["address"] == address


async def test_browsers_are_held_to_encryption_where_there_is_some(kept):
    told = {"X-Forwarded-Proto": "https"}
    for peers, secure in ((Peers(), False), (Peers(["127.0.0.1/32"]), True)):
        client = await kept(peers=peers)
        async with client.get("/healthz", headers=told) as answer:
            assert ("Strict-Transport-Security" in answer.headers) is secure


# pages of other sites


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        f"{GOOD}.evil.example",
        "http://app.example.com",
        GOOD + ":1",
    ],
)
async def test_no_other_origin_than_the_named_ones_is_let_in(kept, origin):
    client = await kept(origins=Origins([GOOD]))
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for send in (client.options, client.get):
        async with send(BOTS, headers=asked) as answer:
            assert answer.status == 401
            assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_a_page_that_is_named_may_ask_and_read(kept):
    client = await kept(origins=Origins([GOOD]))
    asked = {"Origin": GOOD, "Access-Control-Request-Method": "POST"}
    async with client.options(BOTS, headers=asked) as answer:
        assert answer.status == 204
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
    async with client.get(BOTS, headers={**MINE, "Origin": GOOD}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == GOOD
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["Vary"] == "Origin"


# what is sent


async def test_what_can_be_read_can_be_asked_for_without_its_body(kept):
    client = await kept()
    async with client.head(BOTS, headers=MINE) as answer:
        assert answer.status == 200
        assert int(answer.headers["Content-Length"]) > 0
        assert await answer.read() == b""
    async with client.head(BOTS) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("br;q=1, gzip;q=0.5", True), ("gzip;q=0", False), ("", False)],
)
async def test_large_answers_are_packed_for_those_who_can_unpack(kept, accepted, packed):
    client = await kept()
    async with client.get("/api/v1/openapi.json", headers={"Accept-Encoding": accepted}) as answer:
        body = await answer.read()
        assert (answer.headers.get("Content-Encoding") == "gzip") is packed
        assert answer.headers["Vary"] == "Accept-Encoding"
    assert json.loads(gzip.decompress(body) if packed else body)["openapi"] == "3.1.0"


# documents and versions


async def test_the_page_needs_no_script_no_network_and_lists_every_operation(api):
    answer = await api("GET", "/api/v1/docs", token=None)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not re.search(r"<script|<img|<link|https?://|\bon\w+=|src=", answer.text)
    document = (await api("GET", "/api/v1/openapi.json", token=None)).json
    for path, entries in document["paths"].items():
        for method in entries:
            assert f"<code>{method.upper()} {path}</code>" in answer.text


async def test_the_documents_can_be_closed(runtime, tmp_path, client_of, database_url):
    overrides = {"database_url": database_url, "api.token": "t", "api.docs": False}
    runtime.settings = load_settings(folder=tmp_path, overrides=overrides, environ={})
    async with client_of(runtime) as api:
        for path in ("/api/v1/openapi.json", "/api/v1/docs"):
            assert (await api("GET", path, token=None)).status == 401
            assert (await api("GET", path, token="t")).status == 404


async def test_a_later_version_mounts_what_differs_and_nothing_else(
    runtime, monkeypatch, client_of
):
    async def other(request):
        return {"items": [], "next": None}

    def differing(runtime):
        (v1,) = (
            each.route
            for each in all_operations(runtime)
            if each.route.operation == "plugins.list" and each.prefix == "/api/v1"
        )
        return [dataclasses.replace(v1, handler=other, response=None)]

    shown = differing(runtime)
    monkeypatch.setattr(application, "VERSIONS", {"v2": lambda runtime: shown})
    async with client_of(runtime) as api:
        assert (await api("GET", "/api/v2/plugins")).json == {"items": [], "next": None}
        assert (await api("GET", "/api/v2/plugins", token=None)).status == 401
        assert len((await api("GET", "/api/v1/plugins")).json["items"]) == 2
        assert (await api("GET", "/api/v2/bots")).status == 404
        entry = api.document["paths"]["/api/v2/plugins"]["get"]
        assert entry["operationId"] == "v2.plugins.list"


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /api/v1/bots HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hunter2\x01\r\n\r\n",
        b"GET /api/v1/bots HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer hunter2\r\n\r\n",
        b"POST /api/v1/auth/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"grant_type=password&password=hunter2\r\n",
    ],
    ids=["control", "space", "chunk"],
)
async def test_the_log_of_a_broken_request_holds_nothing_of_it(api, caplog, request_head):
    caplog.set_level("DEBUG")
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_head)
    assert (await reader.read(100)).startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    writer.close()
    await writer.wait_closed()
    assert "a request is none" in caplog.text
    assert "hunter2" not in caplog.text
