"""The fakes do what they say, or tests written with them would prove nothing."""

import asyncio

import aiohttp
import pytest

from codex32 import (
    BotNotFound,
    CapabilityRefused,
    Connection,
    ExecutionRef,
    HttpRequest,
    Notification,
)
from codex32.kernel.errors import PluginError
from codex32_testing.context import FakeStepContext
from codex32_testing.http import FakeHttp
from codex32_testing.loading import load_plugin
from codex32_testing.loopback import Reply


async def test_answers_are_given_by_url_and_requests_are_kept(fake_http):
    fake_http.answer("https://example.com/a", status=503, once=True)
    fake_http.answer("https://example.com/*", json={"n": 1}, headers={"X-Id": "7"})
    first = await fake_http.send(HttpRequest("https://example.com/a"))
    second = await fake_http.send(HttpRequest("https://example.com/a", method="POST"))
    assert (first.status, second.status) == (503, 200)
    assert second.text() == '{"n": 1}'
    assert second.headers == {"x-id": "7", "content-type": "application/json"}
    assert [request.method for request in fake_http.requests] == ["GET", "POST"]


async def test_a_request_nobody_expected_fails_the_test(fake_http):
    fake_http.answer("https://example.com/a", method="POST")
    with pytest.raises(AssertionError, match=r"no answer .* GET https://example.com/b; there are"):
        await fake_http.send(HttpRequest("https://example.com/b"))


async def test_faults_are_raised(fake_http):
    fake_http.fail(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await fake_http.send(HttpRequest("https://example.com"))


async def test_a_key_is_unseen_once_and_the_same_step_is_told_the_same(step_context):
    assert await step_context.unseen(["a", "b", "a"], keep_seconds=None) == [True, True, False]
    assert await step_context.unseen(["a", "c"], keep_seconds=60) == [True, True]
    step_context.execution = step_context.execution.__class__(
        "exe_2", "test", 1, 1, {}, {}, step_context.execution.started_at
    )
    assert await step_context.unseen(["a", "d"], keep_seconds=None) == [False, True]


async def test_what_a_step_did_is_kept(step_context):
    receipt = await step_context.notify("log", Notification("hi"), "me")
    step_context.log("done", n=1)
    assert receipt.id == "receipt-1"
    assert step_context.sent == [("log", Notification("hi"), "me")]
    assert step_context.logs == [("info", "done", {"n": 1})]


async def test_only_what_was_handed_in_is_there():
    child = ExecutionRef("exe_1", "child", "queued")
    crm = Connection("crm-read", "postgresql", "db.example.com", secrets={"password": "p"})
    context = FakeStepContext(
        secrets={"TOKEN": "t"}, bots={"child": child}, connections={"crm-read": crm}
    )
    assert await context.connection("crm-read") is crm
    assert await context.secret("TOKEN") == "t"
    assert await context.execute("child", {}) == await context.execute("child", {}) == child
    assert context.executed == [("child", {})]
    with pytest.raises(CapabilityRefused):
        await context.secret("OTHER")
    with pytest.raises(CapabilityRefused, match=r"allow\.connections"):
        await context.connection("crm")
    with pytest.raises(BotNotFound, match="did you mean 'child'"):
        await context.execute("chidl", {})
    with pytest.raises(AssertionError, match="hand in FakeStepContext"):
        context.evaluate("1 + 1")


async def test_two_contexts_share_nothing(step_context):
    step_context.log("here")
    assert FakeStepContext().logs == []
    assert isinstance(step_context.http, FakeHttp)


async def test_the_server_answers_as_told_and_keeps_what_it_was_asked(loopback_server):
    loopback_server.reply("/a", Reply(status=503), Reply(json={"n": 1}, headers={"X-Id": "7"}))
    async with aiohttp.ClientSession() as session:
        statuses = []
        for _ in range(3):
            async with session.post(loopback_server.url("/a?q=1"), data=b"body") as response:
                statuses.append(response.status)
                last = await response.read()
        async with session.get(loopback_server.url("/b")) as response:
            assert response.status == 404
    assert statuses == [503, 200, 200]
    assert last == b'{"n": 1}'
    request = loopback_server.requests[0]
    assert (request.method, request.path, request.query) == ("POST", "/a", {"q": "1"})
    assert request.body == b"body"
    assert "user-agent" in request.headers


async def test_the_server_cuts_answers_short(loopback_server):
    loopback_server.reply("/a", Reply(body=b"0123456789", cut_after=4))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(loopback_server.url("/a")) as response:
                await response.read()


async def test_the_server_can_be_slow(loopback_server):
    loopback_server.reply("/a", Reply(delay_seconds=30))
    limit = aiohttp.ClientTimeout(total=0.05)
    async with aiohttp.ClientSession(timeout=limit) as session:
        with pytest.raises(asyncio.TimeoutError):
            await session.get(loopback_server.url("/a"))


def test_a_plugin_is_loaded_alone_and_its_faults_are_raised():
    plugins = load_plugin("codex32.builtin.plugin")
    assert [record.name for record in plugins.records] == ["under_test"]
    with pytest.raises(PluginError, match="cannot be imported"):
        load_plugin("no.such.module")
