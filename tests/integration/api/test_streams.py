"""Streams over HTTP: every client hears everything, and nobody hears what is not theirs."""

import asyncio
import contextlib
import json

import aiohttp
import pytest
import pytest_asyncio

from codex32.api import streaming
from codex32.kernel.ids import new_id
from codex32.kernel.models import ExecutionRow, LogLineRow
from codex32.services.events import events, feed_events, feeds

DEADLINE = 60


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(feeds, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(feed_events, "HEARD_MICROS", 0)


@pytest.fixture
def execution(runtime):
    def make(workspace="default", bot="ping"):
        row = {
            "id": new_id("exe"),
            "workspace": workspace,
            "bot_id": "bot_1",
            "bot_name": bot,
            "version_id": "ver_1",
            "version_number": 1,
            "status": "queued",
            "inputs": "{}",
            "trigger": "{}",
            "trigger_kind": "manual",
            "created_at": runtime.clock.micros(),
        }
        ExecutionRow.insert(row).execute()
        return row["id"]

    async def made(**more):
        return await runtime.door.write(lambda: make(**more))

    return made


@pytest.fixture
def publish(runtime):
    async def published(name, workspace="default", data=None):
        wish = events.Publish(
            name, data, runtime.clock.micros(), new_id("evt"), workspace=workspace
        )
        await events.publish(runtime.door, wish)

    return published


def line(exe, message, at):
    LogLineRow.insert(execution_id=exe, at=at, level="info", message=message).execute()


def end(exe, at):
    ExecutionRow.update(status="succeeded", finished_at=at).where(ExecutionRow.id == exe).execute()


class Stream:
    """A client that takes a stream down."""

    def __init__(self, response):
        self.response = response
        self.events = []

    async def take(self, enough=lambda _: False):
        """Read until there is enough, or the stream ends."""
        event = {}
        async with asyncio.timeout(DEADLINE):
            while not enough(self.events):
                text = (await self.response.content.readline()).decode()
                if not text:
                    return self
                name, _, value = text.rstrip("\n").partition(": ")
                if name and name != "":
                    event[name] = value
                elif "data" in event:
                    event["data"] = json.loads(event["data"])
                    self.events.append(event)
                    event = {}
        return self

    def of(self, kind, key):
        return [e["data"][key] for e in self.events if e.get("event") == kind]


@pytest_asyncio.fixture
async def listen(api):
    connector = aiohttp.TCPConnector(limit=0)  # else a session has a hundred connections

    @contextlib.asynccontextmanager
    async def listening(path, token=TOKEN, **headers):
        url = f"{api.url}/api/v1{path}"
        given = {"Authorization": f"Bearer {token}", **headers}
        async with session.get(url, headers=given) as response:
            assert response.status == 200, await response.text()
            assert response.headers["Content-Type"] == "text/event-stream"
            yield Stream(response)

    async with aiohttp.ClientSession(connector=connector) as session:
        yield listening


TOKEN = "a token of the test"


async def test_an_execution_is_followed_to_its_end_and_from_where_one_left(
    runtime, listen, execution
):
    exe, now = await execution(), runtime.clock.micros()
    async with listen(f"/executions/{exe}/stream") as stream:
        await stream.take(lambda told: len(told) == 1)
        await runtime.door.write(lambda: line(exe, "one", now))
        await stream.take(lambda told: len(told) == 2)
        await runtime.door.write(lambda: (line(exe, "two", now), end(exe, now)))
        await stream.take()
    assert stream.of("status", "status") == ["queued", "succeeded"]
    assert stream.of("log", "message") == ["one", "two"]
    after = stream.events[1]["id"]
    async with listen(f"/executions/{exe}/stream", **{"Last-Event-ID": after}) as rest:
        assert (await rest.take()).events == stream.events[2:]
    async with listen(f"/executions/{exe}/stream?after={after}") as rest:
        assert (await rest.take()).events == stream.events[2:]


async def test_two_hundred_clients_hear_all_lines_while_the_process_answers_others(
    runtime, api, listen, execution
):
    ids = [await execution() for _ in range(8)]
    now = runtime.clock.micros()
    streams = []

    async def follow(exe):
        async with listen(f"/executions/{exe}/stream") as stream:
            streams.append((exe, stream))
            await stream.take()

    clients = [asyncio.ensure_future(follow(ids[n % 8])) for n in range(200)]
    async with asyncio.timeout(DEADLINE):
        while sum(bool(stream.events) for _, stream in streams) < 200:
            await asyncio.sleep(0.05)
    for n in range(40):
        await runtime.door.write(lambda n=n: [line(e, f"{e} {n}", now + n) for e in ids])
        assert (await api("GET", "/healthz", token=None)).status == 200
    await runtime.door.write(lambda: [end(exe, now + 99) for exe in ids])
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*clients)
    for exe, stream in streams:
        assert stream.of("log", "message") == [f"{exe} {n}" for n in range(40)]
        assert stream.of("status", "status")[-1] == "succeeded"


async def test_events_and_statuses_are_those_of_the_workspace_alone(
    runtime, listen, execution, publish
):
    async with listen("/events/stream?name=custom.*") as stream:
        await stream.take(lambda told: told and told[-1]["event"] == "ready")
        await publish("custom.theirs", workspace="other", data="canary")
        await publish("custom.mine", data={"n": 1})
        await stream.take(lambda told: len(told) == 2)
    assert stream.of("event", "name") == ["custom.mine"]
    assert stream.of("event", "data") == [{"n": 1}]
    async with listen("/executions/stream?bot=ping") as stream:
        await stream.take(lambda told: told and told[-1]["event"] == "ready")


async def test_what_is_not_there_or_another_workspaces_is_not_found(api, execution):
    theirs = await execution(workspace="other")
    for exe in (theirs, new_id("exe")):
        answer = await api("GET", f"/api/v1/executions/{exe}/stream")
        assert (answer.status, answer.json["code"]) == (404, "execution-not-found")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_name_that_never_comes_is_refused(api):
    answer = await api("GET", "/api/v1/events/stream?name=execution.fail")
    assert (answer.status, answer.json["code"]) == (422, "event-invalid")
    assert "did you mean 'execution.failed'" in answer.json["detail"]


async def test_strangers_hear_nothing(api, execution):
    exe = await execution()
    for path in (f"/executions/{exe}/stream", "/executions/stream", "/events/stream"):
        assert (await api("GET", f"/api/v1{path}", token=None)).status == 401


@pytest.mark.parametrize("how", ["member", "session", "key", "account"])
async def test_a_stream_ends_once_its_caller_may_not_listen_any_more(
    api, listen, people, publish, monkeypatch, how
):
    monkeypatch.setattr(streaming, "RECHECK_SECONDS", 0.05)
    account = await people.add("anna", "viewer")
    signed_in = await people.sign_in("anna")
    token = signed_in["access_token"]
    if how == "key":
        wish = {"name": "reads", "scopes": ["events.read"]}
        made = await api("POST", "/api/v1/auth/keys", token=token, json=wish)
        assert made.status == 201, made.text
        token = made.json["key"]
    async with listen("/events/stream", token) as stream:
        await stream.take(lambda told: told and told[-1]["event"] == "ready")
        if how == "member":
            answer = await api("DELETE", "/api/v1/members/anna")
        elif how == "session":
            form = {"token": signed_in["refresh_token"]}
            answer = await api("POST", "/api/v1/auth/revoke", token=None, data=form)
        elif how == "key":
            answer = await api("DELETE", f"/api/v1/keys/{made.json['id']}")
        else:
            answer = await api("PATCH", f"/api/v1/users/{account}", json={"active": False})
        assert answer.status in (200, 204), answer.text
        await stream.take()
        await publish("custom.secret")
    assert stream.events[-1]["event"] == "problem"
    assert stream.events[-1]["data"]["status"] in (400, 401, 403, 404)
    assert stream.of("event", "name") == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_more_streams_than_the_settings_permit(runtime, client_of, execution, settings):
    exe = await execution()
    runtime.settings = settings.model_copy(
        update={"api": settings.api.model_copy(update={"streams": 1})}
    )
    async with client_of(runtime) as api:
        url = f"{api.url}/api/v1/executions/{exe}/stream"
        async with api.session.get(url, headers={"Authorization": f"Bearer {TOKEN}"}) as first:
            await Stream(first).take(lambda told: len(told) == 1)
            answer = await api("GET", "/api/v1/events/stream")
    assert (answer.status, answer.json["code"]) == (503, "streams-full")
