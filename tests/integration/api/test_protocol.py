"""What holds for every request: limits, addresses, other sites, packed answers, versions."""

import asyncio
import contextlib
import dataclasses
import gzip
import json
import re

import pytest
from aiohttp import web
from aiohttp.compression_utils import ZLibDecompressor
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDict

from codex32 import PUBLIC, Route
from codex32.api import application, reading
from codex32.api.application import all_operations, build_application
from codex32.api.callers import Gatekeeper
from codex32.api.guard import Keeping
from codex32.api.network import Origins, Peers
from codex32.api.protocol import Runner
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


async def test_what_a_caller_is_refused_counts_like_what_is_done(runtime, people):
    await people.add("anna", "viewer")
    token = (await people.sign_in("anna"))["access_token"]
    keeper = Gatekeeper("t", runtime.access.recogniser)
    for path, status in (("/api/v1/users", 403), ("/api/v1/nothing", 404)):
        keeping = Keeping(limiter=Limiter({"normal": 3}, lambda: 0.0))
        app = build_application(all_operations(runtime), keeper, keeping)
        async with TestClient(TestServer(app)) as client:
            told = [
                await client.get(path, headers={"Authorization": f"Bearer {token}"})
                for _ in range(4)
            ]
            assert [each.status for each in told] == [status] * 3 + [429]
            assert told[0].headers["RateLimit-Remaining"] == "2"


async def test_an_account_has_no_higher_rate_for_having_many_keys(runtime, people):
    await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    tokens = [token]
    for name in "ab":
        wish = {"name": name, "scopes": ["bots.read"]}
        made = await people.api("POST", "/api/v1/auth/keys", token=token, json=wish)
        tokens.append(made.json["key"])
    keeping = Keeping(limiter=Limiter({"normal": 2}, lambda: 0.0))
    keeper = Gatekeeper("t", runtime.access.recogniser)
    app = build_application(all_operations(runtime), keeper, keeping)
    async with TestClient(TestServer(app)) as client:
        told = [
            await client.get(BOTS, headers={"Authorization": f"Bearer {each}"}) for each in tokens
        ]
        assert [each.status for each in told] == [200, 200, 429]
        async with client.get(BOTS, headers=MINE) as answer:
            assert answer.status == 200


async def test_strangers_have_no_higher_rate_for_having_many_addresses(kept):
    limiter = Limiter({"normal": 1}, lambda: 0.0)
    client = await kept(limiter=limiter, peers=Peers(["127.0.0.0/8"]))
    for address, status in (("2001:db8::1", 401), ("2001:db8::2", 429), ("2001:db8:1::", 401)):
        async with client.get(BOTS, headers={"X-Forwarded-For": address}) as answer:
            assert (address, answer.status) == (address, status)


async def test_the_token_endpoint_tells_too_many_as_its_own_standard_does(kept):
    client = await kept(limiter=Limiter({"sign-in": 1}, lambda: 0.0))
    for status, word in ((400, "invalid_request"), (429, "temporarily_unavailable")):
        async with client.post("/api/v1/auth/token", data={"grant_type": ""}) as answer:
            assert (answer.status, answer.content_type) == (status, "application/json")
            told = await answer.json()
            assert (set(told), told["error"]) == ({"error", "error_description"}, word)
    assert (answer.headers["Retry-After"], answer.headers["RateLimit-Remaining"]) == ("60", "0")
    assert answer.headers["X-Request-Id"]


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


# what is no request

HEAD = b"GET /api/v1/bots HTTP/1.1\r\nHost: x\r\n"
NO_HTTP = {
    "control": HEAD + b"Authorization: Bearer hunter2\x01\r\n\r\n",
    "space": HEAD + b"Authorization : Bearer hunter2\r\n\r\n",
    "name": HEAD + b"hunter2\x00: x\r\n\r\n",
    "no colon": HEAD + b"hunter2\r\n\r\n",
    "no method": b"\xff\xfehunter2 \r\n\r\n",
    "no version": b"GET /hunter2 HTTP/x\r\n\r\n",
    "long line": b"GET /hunter2" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": HEAD + b"A: hunter2" + b"x" * 20_000 + b"\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nhunter2",
    "length": HEAD + b"Content-Length: hunter2\r\n\r\n",
    "chunk": b"POST /api/v1/auth/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"grant_type=password&password=hunter2\r\n",
    "expect": HEAD + b"Authorization: Bearer t\r\nExpect: hunter2\r\n\r\n",
}


async def spoken(port, data):
    """What a server says to these bytes: status, headers, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, body.decode()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_request_gets_a_problem_that_quotes_nothing_of_it(api, caplog, data):
    caplog.set_level("DEBUG")
    status, headers, body = await spoken(int(api.url.rpartition(":")[2]), data)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    told = json.loads(body)
    assert (told["code"], told["request_id"]) == ("request-malformed", headers["x-request-id"])
    assert (headers["cache-control"], headers["server"]) == ("no-store", "codex32")
    for text in (body, str(headers), caplog.text):
        assert "hunter2" not in text


@pytest.mark.parametrize("kind", ["control", "expect"])
async def test_what_is_no_request_is_counted_by_address(runtime, kind):
    keeping = Keeping(limiter=Limiter({"normal": 2}, lambda: 0.0))
    app = build_application(all_operations(runtime), Gatekeeper("t"), keeping)
    runner = Runner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        answers = [await spoken(port, NO_HTTP[kind]) for _ in range(3)]
        assert [status for status, _, _ in answers] == [400, 400, 429]
        assert int(answers[-1][1]["retry-after"]) >= 1
        get = f"{HEAD.decode()}Authorization: Bearer x\r\n\r\n".encode()
        assert (await spoken(port, get))[0] == 429
    finally:
        await runner.cleanup()


async def test_a_body_that_is_held_back_is_waited_for_no_longer(api, monkeypatch):
    monkeypatch.setattr(reading, "BODY_SECONDS", 0.05)
    begun = b"POST /hooks/default/p HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\nhunter2"
    status, _, body = await spoken(int(api.url.rpartition(":")[2]), begun)
    assert (status, json.loads(body)["code"]) == (408, "body-too-slow")


@pytest.mark.parametrize("name", ["Authorization", "X-Workspace", "Idempotency-Key"])
async def test_a_request_that_says_two_things_about_itself_is_refused(kept, name):
    client = await kept()
    headers = CIMultiDict({**MINE, "X-Workspace": "default", "Idempotency-Key": "k"})
    headers.add(name, headers[name])
    async with client.get(BOTS, headers=headers) as answer:
        told = await answer.json(content_type=None)
        assert (answer.status, told["code"]) == (400, "request-malformed")
        assert name in told["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/auth/forgot", 413), ("/hooks/default/nothing", 413), ("/api/v1/bots", 401)],
)
async def test_no_more_of_a_packed_body_is_unpacked_than_is_read(api, monkeypatch, path, status):
    unpacked = []
    unpack = ZLibDecompressor.decompress_sync

    def counted(self, *data, **options):
        unpacked.append(unpack(self, *data, **options))
        return unpacked[-1]

    monkeypatch.setattr(ZLibDecompressor, "decompress_sync", counted)
    bomb = gzip.compress(bytes(200 * 1024**2), 1)
    told = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = await api("POST", path, token=None, data=bomb, headers=told)
    assert answer.status == status
    assert (await api("GET", "/healthz", token=None)).status == 200
    assert sum(map(len, unpacked)) < 16 * 1024**2


@pytest.mark.parametrize("path", ["/api/v1/auth/token", "/hooks/default/nothing"])
async def test_a_body_that_cannot_be_unpacked_fills_no_log(api, caplog, path):
    caplog.set_level("INFO")
    answer = await api("POST", path, data=b"not gzip", headers={"Content-Encoding": "gzip"})
    assert 400 <= answer.status < 500
    # The connection is looked at again after the answer; another request comes after that.
    await api("GET", "/healthz")
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []
    assert "Traceback" not in caplog.text
