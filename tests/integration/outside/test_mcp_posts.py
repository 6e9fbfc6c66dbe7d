"""Servers of MCP that are spoken to by HTTP, and what they do wrong."""

import asyncio
import base64
import json
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qsl

import codex32_rough_mcp
import pytest

from codex32 import (
    CapabilityRefused,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    Tool,
)
from codex32.kernel.contracts.mcp import McpCaller
from codex32.outside.http_on_demand import HttpOnDemand
from codex32.outside.mcp.grants import Grant, Tokens
from codex32.outside.mcp.keeper import McpHouse, Server
from codex32.outside.mcp.pins import FILE, Pins
from codex32.outside.mcp.posts import PostLine

TOOLS = codex32_rough_mcp.TOOLS
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
DONE = {"content": [], "structuredContent": {"n": 1}}
PATIENCE = 60.0


async def secret(name: str) -> str:
    return "sesame-open"


CALLER = McpCaller("default", secret, ("*",))


@pytest.fixture(autouse=True)
def _pinned(tmp_path):
    pinned = [Tool(t["name"], t["description"], t["inputSchema"]) for t in TOOLS]
    Pins(tmp_path / FILE).keep("web", pinned)


class Speaker:
    """Answers messages by their method: with a result, or with whatever bytes a test wants."""

    def __init__(self, server, bytes_of) -> None:
        self.server, self.bytes_of = server, bytes_of
        self.answers = {
            "initialize": HELLO,
            "notifications/initialized": bytes_of(202, b""),
            "tools/list": {"tools": TOOLS},
            "tools/call": DONE,
        }
        self.asked: list[str] = []
        #: Whether it closes the connection after every answer.
        self.leaving = False
        server.routes["/mcp"] = self.serve

    async def serve(self, request, writer) -> None:
        verb, body = request.split()[0].decode(), request.split(b"\r\n\r\n", 1)[1]
        message = json.loads(body) if body else {"method": verb}
        self.asked.append(message["method"])
        answer = self.answers.get(message["method"], self.bytes_of(405, b""))
        if isinstance(answer, dict):
            told = {"jsonrpc": "2.0", "id": message["id"], "result": answer}
            kind = "application/json; charset=utf-8"
            answer = self.bytes_of(200, json.dumps(told).encode(), content_type=kind)
        if callable(answer):
            answer = answer(message)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = self.bytes_of(204, b"")
        writer.write(answer)
        await writer.drain()
        if self.leaving:
            writer.close()


@pytest.fixture
async def speaker(server, bytes_of):
    return Speaker(server, bytes_of)


@asynccontextmanager
async def reached(speaker, tmp_path, *, private=True, path="/mcp", query="", **more):
    url = speaker.server.url(path) + query
    client = HttpOnDemand([f"127.0.0.1:{speaker.server.port}"] if private else [])
    keeper = McpHouse({"web": Server(url=url, **more)}, client.for_hosts, tmp_path, 1)
    try:
        yield keeper
    finally:
        await keeper.close()
        await client.close()


def with_a_session(bytes_of):
    def hello(message):
        told = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": HELLO}).encode()
        return bytes_of(200, told, Mcp_Session_Id="s-1", content_type="application/json")

    return hello


async def call(keeper, *, seconds=PATIENCE):
    return await keeper.call(CALLER, "web", "echo", {"text": "hi"}, timeout_seconds=seconds)


def events(*messages):
    body = "".join(f"event: message\r\ndata: {json.dumps(each)}\r\n\r\n" for each in messages)
    return f": hello\n\n{body}".encode()


async def test_a_tool_is_called_and_the_session_is_ended(speaker, tmp_path, bytes_of):
    speaker.answers["initialize"] = with_a_session(bytes_of)
    headers = {"Authorization": "Bearer ${{ secrets.TOKEN }}"}
    async with reached(speaker, tmp_path, headers=headers) as keeper:
        assert (await call(keeper)).data == {"n": 1}
    assert speaker.asked == [
        *("initialize", "notifications/initialized", "tools/list", "tools/call", "DELETE"),
    ]
    first, *others = (request.lower() for request in speaker.server.requests)
    assert b"mcp-session-id" not in first
    for request in others:
        assert b"mcp-session-id: s-1" in request
        assert b"mcp-protocol-version: 2025-06-18" in request
        assert b"authorization: bearer sesame-open" in request


async def test_an_answer_that_is_there_does_not_wait_for_the_end_of_the_session(
    speaker, tmp_path, bytes_of, monkeypatch
):
    monkeypatch.setattr("codex32.outside.mcp.posts._LEAVE_SECONDS", 3600.0)
    speaker.answers["initialize"] = with_a_session(bytes_of)
    speaker.answers["DELETE"] = released = asyncio.Event()
    async with reached(speaker, tmp_path) as keeper:
        assert (await call(keeper)).data == {"n": 1}
        released.set()
    assert speaker.asked[-1] == "DELETE"


async def test_a_session_is_ended_after_a_fault_too(speaker, tmp_path, bytes_of):
    speaker.answers["initialize"] = with_a_session(bytes_of)
    speaker.answers["tools/call"] = bytes_of(500, b"")
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderUnavailable):
            await call(keeper)
    assert speaker.asked[-1] == "DELETE"


async def test_a_conversation_that_cannot_be_ended_is_logged_and_hinders_nobody(
    speaker, tmp_path, monkeypatch, caplog
):
    async def close(self, *, well):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(PostLine, "close", close)
    async with reached(speaker, tmp_path) as keeper:
        assert (await call(keeper)).data == {"n": 1}
    assert "could not be ended" in caplog.text


async def test_an_answer_may_come_as_a_stream_of_events(speaker, tmp_path, bytes_of):
    def stream(message):
        other = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": DONE}
        return bytes_of(200, events(other, answer), content_type="text/event-stream")

    speaker.answers["tools/call"] = stream
    async with reached(speaker, tmp_path) as keeper:
        assert (await call(keeper)).data == {"n": 1}


async def test_credentials_that_are_not_taken_are_not_shown(speaker, tmp_path, bytes_of):
    speaker.answers["initialize"] = bytes_of(401, b"who are you?")
    headers = {"Authorization": "Bearer ${{ secrets.TOKEN }}"}
    async with reached(speaker, tmp_path, headers=headers, query="?who=sesame") as keeper:
        with pytest.raises(ProviderUnauthorized, match="/… answers 401") as caught:
            await call(keeper)
    assert "sesame" not in caught.value.message


@pytest.mark.parametrize("status", [None, 401, 500])
async def test_a_secret_in_the_path_is_filled_in_and_told_to_nobody(
    speaker, tmp_path, bytes_of, status
):
    speaker.server.routes["/s/sesame-open/mcp"] = speaker.serve
    if status is not None:
        speaker.answers["tools/call"] = bytes_of(status, b"")
    else:
        speaker.answers["tools/call"] = bytes_of(200, b"")[:-4] + b"x"  # it breaks off
        speaker.leaving = True
    async with reached(speaker, tmp_path, path="/s/${{ secrets.TOKEN }}/mcp") as keeper:
        with pytest.raises((ProviderUnauthorized, ProviderUnavailable)) as caught:
            await call(keeper)
    assert "sesame" not in caught.value.message
    assert "tools/call" in speaker.asked


async def test_the_calls_of_an_execution_share_a_session(speaker, tmp_path, bytes_of):
    speaker.answers["initialize"] = with_a_session(bytes_of)
    caller = replace(CALLER, execution="exe_1")
    async with reached(speaker, tmp_path) as keeper:
        for _ in range(2):
            await keeper.call(caller, "web", "echo", {}, timeout_seconds=PATIENCE)
    assert speaker.asked == [
        *("initialize", "notifications/initialized", "tools/list", "tools/call"),
        *("tools/list", "tools/call", "DELETE"),
    ]


async def test_a_session_that_the_server_forgot_is_begun_anew(speaker, tmp_path, bytes_of):
    speaker.answers["initialize"] = with_a_session(bytes_of)
    caller = replace(CALLER, execution="exe_1")
    async with reached(speaker, tmp_path) as keeper:
        await keeper.call(caller, "web", "echo", {}, timeout_seconds=PATIENCE)
        forgotten = bytes_of(404, b"")

        def lists(message):
            speaker.answers["tools/list"] = {"tools": TOOLS}
            return forgotten

        speaker.answers["tools/list"] = lists
        answer = await keeper.call(caller, "web", "echo", {}, timeout_seconds=PATIENCE)
    assert answer.data == {"n": 1}
    assert speaker.asked.count("initialize") == 2
    assert speaker.asked.count("tools/call") == 2


@pytest.mark.parametrize("times", [1, 2])
async def test_a_session_that_is_forgotten_as_a_tool_is_called_is_begun_anew_once(
    speaker, tmp_path, bytes_of, times
):
    speaker.answers["initialize"] = with_a_session(bytes_of)
    forgotten = [bytes_of(404, b"")] * times

    def calls(message):
        if forgotten:
            return forgotten.pop()
        told = {"jsonrpc": "2.0", "id": message["id"], "result": DONE}
        return bytes_of(200, json.dumps(told).encode(), content_type="application/json")

    speaker.answers["tools/call"] = calls
    async with reached(speaker, tmp_path) as keeper:
        if times == 1:
            assert (await call(keeper)).data == {"n": 1}
        else:
            with pytest.raises(ProviderUnavailable, match="answers 404") as caught:
                await call(keeper)
            assert caught.value.fault_code == "mcp-unreachable"
    assert speaker.asked.count("initialize") == speaker.asked.count("tools/call") == 2


async def test_a_stream_that_stays_open_after_the_answer_is_left(speaker, tmp_path, bytes_of):
    def stream(message):
        # It numbers what it asks itself as we do what we ask.
        ping = {"jsonrpc": "2.0", "id": message["id"], "method": "ping"}
        told = events(ping, {"jsonrpc": "2.0", "id": message["id"], "result": DONE})
        head = bytes_of(200, told, content_type="text/event-stream")
        # More is promised than ever comes.
        return head.replace(b"ength: %d" % len(told), b"ength: %d" % (len(told) + 99))

    speaker.answers["tools/call"] = stream
    async with reached(speaker, tmp_path) as keeper:
        assert (await call(keeper)).data == {"n": 1}


class Stream:
    """Answers a call by streams of events; a test says what is in them, and what follows."""

    def __init__(self, speaker, head_of) -> None:
        self.speaker, self.head_of = speaker, head_of
        #: What is told on the stream of the call and on each that takes it up again, in parts;
        #: None waits for an answer to what was asked.
        self.told: list[list[bytes | None]] = []
        self.answers: list[dict] = []
        self.resumed: list[bytes] = []
        self._answered = asyncio.Event()
        self._plainly = speaker.serve
        speaker.server.routes["/mcp"] = self.serve

    async def serve(self, request, writer) -> None:
        body = request.split(b"\r\n\r\n", 1)[1]
        message = json.loads(body) if body else {}
        if body and "method" not in message:
            self.answers.append(message)
            self._answered.set()
            writer.write(self.speaker.bytes_of(202, b""))
            await writer.drain()
        elif message.get("method") == "tools/call" or request.startswith(b"GET"):
            found = re.search(rb"last-event-id: (\S+)", request.lower())
            self.resumed += [found[1]] if found else []
            await self._tell(self.told.pop(0), writer)
        else:
            await self._plainly(request, writer)

    async def _tell(self, parts, writer) -> None:
        writer.write(self.head_of(content_type="text/event-stream", connection="close"))
        for part in parts:
            if part is None:
                await self._answered.wait()
                self._answered.clear()
            elif part == b"reset":
                writer.transport.abort()
            else:
                writer.write(part)
                await writer.drain()
        writer.close()

    def answer(self, number: int = 3) -> bytes:
        return events({"jsonrpc": "2.0", "id": number, "result": DONE})


@pytest.fixture
async def stream(speaker, head_of):
    return Stream(speaker, head_of)


async def test_what_a_server_asks_in_a_stream_is_answered_before_it_goes_on(
    speaker, stream, tmp_path
):
    asked = [
        {"jsonrpc": "2.0", "id": 3, "method": "ping"},
        {"jsonrpc": "2.0", "id": "s", "method": "sampling/createMessage", "params": {}},
    ]
    first, second = map(events, asked)
    stream.told = [[first, None, second[:30], second[30:], None, stream.answer()]]
    async with reached(speaker, tmp_path) as keeper:
        assert (await call(keeper)).data == {"n": 1}
    ping, sampling = stream.answers
    assert ping == {"jsonrpc": "2.0", "id": 3, "result": {}}
    assert (sampling["id"], sampling["error"]["code"]) == ("s", -32601)


async def test_a_server_that_asks_without_end_is_not_answered_without_end(
    speaker, stream, tmp_path
):
    asked = [{"jsonrpc": "2.0", "id": f"p{n}", "method": "ping"} for n in range(5000)]
    stream.told = [[events(*asked), stream.answer()]]
    async with reached(speaker, tmp_path) as keeper:
        assert (await call(keeper)).data == {"n": 1}
    assert len(stream.answers) <= 101


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_stream_that_ends_early_is_taken_up_again_behind_its_last_event(
    speaker, stream, tmp_path, how
):
    cut = [b"reset"] if how == "reset" else []
    stream.told = [
        [b"id: e-1\nretry: 1\ndata: \n\n", *cut],
        [b"id: e-2\ndata: {}\n\nid: e-3\nda", *cut],
        [b"id: e-4\n" + stream.answer().partition(b"\n\n")[2]],
    ]
    async with reached(speaker, tmp_path) as keeper:
        assert (await call(keeper)).data == {"n": 1}
    assert stream.resumed == [b"e-1", b"e-2"]
    assert stream.told == []
    assert speaker.asked.count("tools/list") == 1


@pytest.mark.parametrize("how", ["refused", "gone", "for ever"])
async def test_a_stream_that_is_lost_leaves_open_what_was_done(
    speaker, stream, tmp_path, how, bytes_of
):
    stream.told = [[b"id: e-1\nretry: 1\ndata: \n\n"]]
    more, seconds = {"refused": 0, "gone": 0, "for ever": 10_000}[how], PATIENCE
    stream.told += [[b": nothing new\n\n"]] * more
    if how == "for ever":
        seconds = 3.0
    if how == "refused":
        plainly = stream.serve

        async def serve(request, writer):
            if request.startswith(b"GET"):
                writer.write(bytes_of(405, b""))
                await writer.drain()
            else:
                await plainly(request, writer)

        speaker.server.routes["/mcp"] = serve
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderUnavailable) as caught:
            await call(keeper, seconds=seconds)
    assert caught.value.fault_code == ("mcp-timeout" if how == "for ever" else "mcp-cut")


class Issuer:
    """An authorization server: gives tokens one after the other, or what a test lays down."""

    def __init__(self, server, bytes_of) -> None:
        self.server, self.bytes_of = server, bytes_of
        self.given, self.asked = 0, []
        self.answer = None
        self.seconds = 3600
        server.routes["/token"] = self.serve

    async def serve(self, request, writer) -> None:
        self.asked.append(request)
        self.given += 1
        told = {
            "access_token": f"token-{self.given}",
            "token_type": "Bearer",
            "expires_in": self.seconds,
        }
        kind = {"content_type": "application/json"}
        writer.write(self.answer or self.bytes_of(200, json.dumps(told).encode(), **kind))
        await writer.drain()

    def grant(self) -> Grant:
        return Grant(self.server.url("/token"), "the house", "${{ secrets.TOKEN }}", "orders.read")


@pytest.fixture
async def issuer(server, bytes_of):
    return Issuer(server, bytes_of)


def bearers(speaker):
    requests = [each.lower() for each in speaker.server.requests]
    found = [re.search(rb"authorization: bearer (\S+)", each) for each in requests]
    return [each[1].decode() for each in found if each]


async def test_a_token_is_asked_for_once_and_sent_with_every_request(speaker, issuer, tmp_path):
    async with reached(speaker, tmp_path, grant=issuer.grant()) as keeper:
        for _ in range(2):
            assert (await call(keeper)).data == {"n": 1}
    (asked,) = issuer.asked
    credentials = base64.b64encode(b"the+house:sesame-open")
    assert b"basic " + credentials.lower() in asked.lower()
    form = dict(parse_qsl(asked.partition(b"\r\n\r\n")[2].decode()))
    assert form == {
        "grant_type": "client_credentials",
        "resource": speaker.server.url("/mcp"),
        "scope": "orders.read",
    }
    assert bearers(speaker) == ["token-1"] * 8


async def test_a_token_that_ends_is_asked_for_again(speaker, issuer, tmp_path):
    issuer.seconds = 1
    async with reached(speaker, tmp_path, grant=issuer.grant()) as keeper:
        await call(keeper)
    assert len(issuer.asked) == 4


async def test_tokens_that_have_ended_are_not_kept(issuer):
    client = HttpOnDemand([f"127.0.0.1:{issuer.server.port}"])
    tokens, grant = Tokens(client.for_hosts), issuer.grant()
    try:
        issuer.seconds = 1
        for number in range(3):
            await tokens.of(grant, f"https://ended.example/{number}")
        issuer.seconds = 3600
        assert await tokens.of(grant, "https://one.example/") == "token-4"
        assert await tokens.of(grant, "https://two.example/") == "token-5"
    finally:
        await client.close()
    assert [resource for _, resource in tokens._kept] == [
        "https://one.example/",
        "https://two.example/",
    ]


async def test_a_token_that_is_not_taken_any_more_is_replaced_once(
    speaker, issuer, tmp_path, bytes_of
):
    async with reached(speaker, tmp_path, grant=issuer.grant()) as keeper:
        await call(keeper)

        def hello(message):
            speaker.answers["initialize"] = HELLO
            return bytes_of(401, b"")

        speaker.answers["initialize"] = hello
        assert (await call(keeper)).data == {"n": 1}
        assert bearers(speaker)[4:6] == ["token-1", "token-2"]

        speaker.answers["initialize"] = bytes_of(401, b"")
        with pytest.raises(ProviderUnauthorized, match="answers 401"):
            await call(keeper)
    assert len(issuer.asked) == 3


@pytest.mark.parametrize(
    ("status", "body", "error", "told"),
    [
        (401, {"error": "invalid_client"}, ProviderUnauthorized, "no token: invalid_client"),
        (400, {"error": "sesame-open!"}, ProviderUnauthorized, "answers 400 and gives no token$"),
        (200, {"access_token": "a", "token_type": "mac"}, ProviderUnauthorized, "no bearer"),
        (200, {"access_token": "a\nb", "token_type": "bearer"}, ProviderUnauthorized, "no token"),
        (200, [], ProviderUnauthorized, "no token"),
        (503, {}, ProviderUnavailable, "answers 503 and gives no token"),
    ],
)
async def test_without_a_token_nothing_is_asked_of_the_server(
    speaker, issuer, tmp_path, bytes_of, status, body, error, told
):
    kind = {"content_type": "application/json"}
    issuer.answer = bytes_of(status, json.dumps(body).encode(), **kind)
    async with reached(speaker, tmp_path, grant=issuer.grant()) as keeper:
        with pytest.raises(error, match=told) as caught:
            await call(keeper)
    assert speaker.asked == []
    assert "sesame" not in caught.value.message
    if error is ProviderUnavailable:
        assert caught.value.fault_code == "mcp-unreachable"


async def test_a_private_address_is_refused_unless_an_operator_permits_it(speaker, tmp_path):
    async with reached(speaker, tmp_path, private=False) as keeper:
        with pytest.raises(CapabilityRefused, match="private_hosts"):
            await call(keeper)
    assert speaker.server.connections == 0


async def test_a_redirect_is_not_followed_with_credentials_or_without(speaker, tmp_path, bytes_of):
    speaker.server.routes["/else"] = bytes_of(200, b"{}")
    speaker.answers["initialize"] = bytes_of(307, b"", Location=speaker.server.url("/else"))
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderUnavailable, match="answers 307"):
            await call(keeper)
    assert len(speaker.server.requests) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((status, "mcp-cut") for status in (301, 302, 303, 500, 502)),
        *((status, "mcp-unreachable") for status in (307, 308, 404)),
    ],
)
async def test_what_a_status_means_for_a_call(speaker, tmp_path, bytes_of, status, code):
    speaker.answers["tools/call"] = bytes_of(status, b"<html>", content_type="text/html")
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderUnavailable, match=f"answers {status}") as caught:
            await call(keeper)
    assert caught.value.fault_code == code


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nContent-Type: application/json\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Type: text/html\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: application/json\r\n\r\n{{{",
    ],
    ids=["nothing", "torn", "html", "list", "no-json"],
)
async def test_an_answer_that_makes_no_sense_leaves_open_what_was_done(speaker, tmp_path, answer):
    speaker.answers["tools/call"], speaker.leaving = answer, True
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderUnavailable) as caught:
            await call(keeper)
    assert caught.value.fault_code == "mcp-cut"


async def test_an_answer_that_is_too_long_is_not_read(speaker, tmp_path, bytes_of):
    speaker.answers["tools/call"] = bytes_of(
        200, b" " * (5 << 20), content_type="application/json"
    )
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderUnavailable, match="max_bytes") as caught:
            await call(keeper)
    assert caught.value.fault_code == "mcp-cut"


async def test_all_that_a_server_says_has_a_limit(speaker, tmp_path, monkeypatch):
    monkeypatch.setattr("codex32.outside.mcp.line.MOST_BYTES_OF_ALL", 400)
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderUnavailable, match="says more than 400 bytes"):
            await call(keeper)
    assert speaker.asked == ["initialize", "notifications/initialized", "tools/list"]


async def test_an_answer_that_does_not_come_is_not_waited_for(speaker, tmp_path):
    speaker.answers["tools/call"] = None
    async with reached(speaker, tmp_path) as keeper:
        # Long enough that it was asked: a limit that is over before tells of no call.
        with pytest.raises(ProviderUnavailable, match="did not answer echo") as caught:
            await call(keeper, seconds=5.0)
    assert caught.value.fault_code == "mcp-timeout"


async def test_a_connection_that_is_cut_before_the_call_leaves_nothing_open(speaker, tmp_path):
    speaker.answers["tools/list"], speaker.leaving = b"", True
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderUnavailable) as caught:
            await call(keeper)
    assert caught.value.fault_code == "mcp-unreachable"
    assert "tools/call" not in speaker.asked


def an_error(bytes_of, status, code):
    def refused(message):
        error = {"code": code, "message": "not so"}
        told = {"jsonrpc": "2.0", "id": message["id"], "error": error}
        return bytes_of(status, json.dumps(told).encode(), content_type="application/json")

    return refused


@pytest.mark.parametrize("code", [-32700, -32600, -32601, -32602])
async def test_an_error_of_the_protocol_is_told_whatever_its_status(
    speaker, tmp_path, bytes_of, code
):
    speaker.answers["tools/call"] = an_error(bytes_of, 400, code)
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderRejected, match=rf"refuses echo: not so \({code}\)"):
            await call(keeper)


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, -32603), (500, -32603), (200, -32000), (404, -32001), (200, [1])],
    ids=["internal", "internal-500", "server", "session", "odd"],
)
async def test_any_other_error_leaves_open_what_was_done(
    speaker, tmp_path, bytes_of, status, code
):
    speaker.answers["tools/call"] = an_error(bytes_of, status, code)
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderUnavailable, match="failed at echo: not so") as caught:
            await call(keeper)
    assert caught.value.fault_code == "mcp-cut"


async def test_an_error_before_the_call_says_that_nothing_was_done(speaker, tmp_path, bytes_of):
    speaker.answers["tools/list"] = an_error(bytes_of, 200, -32603)
    async with reached(speaker, tmp_path) as keeper:
        with pytest.raises(ProviderRejected, match="refuses to speak: not so"):
            await call(keeper)
