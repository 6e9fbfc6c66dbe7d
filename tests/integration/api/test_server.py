"""The process: where it says that it listens, whether it is ready, how it stops."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from datetime import datetime
from functools import partial
from urllib.error import URLError
from urllib.request import Request, urlopen

import aiohttp
import pytest

from codex32.api import server
from codex32.api.routes import health
from codex32.api.server import AddressTaken, serving
from codex32.kernel import schema
from codex32.kernel.clock import from_micros
from codex32.kernel.database import connect, is_sqlite
from codex32.services.upkeep import processes
from codex32.tables import core_migrations
from codex32_config.settings import load_settings
from codex32_workers.dispatcher import DramatiqDispatcher


async def until(condition, seconds=60):
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.01)
    return found


async def test_it_says_where_it_listens_while_it_does(runtime):
    path = runtime.settings.home / "api.json"
    async with serving(runtime, "127.0.0.1", 0) as url:
        assert json.loads(path.read_text()) == {"pid": os.getpid(), "url": url}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: "])
async def test_a_connection_on_which_nothing_is_asked_is_closed(runtime, monkeypatch, sent):
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.1)
    async with serving(runtime, "127.0.0.1", 0) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


async def test_the_note_of_another_process_is_left_alone(runtime):
    path = runtime.settings.home / "api.json"
    async with serving(runtime, "127.0.0.1", 0):
        path.write_text("of another")
    assert path.read_text() == "of another"


async def test_it_is_on_the_list_of_processes_while_it_lives(runtime):
    async def listed():
        now = runtime.clock.micros()
        living = await runtime.door.read(processes.living, now)
        return [(each.id, each.kind) for each in living]

    async with serving(runtime, "127.0.0.1", 0):
        assert await until(listed) == [(runtime.process.id, "api")]
    assert await listed() == []


async def test_an_address_in_use_is_named_with_the_remedy(runtime):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressTaken, match=f"127.0.0.1:{port}: somebody .* --port"):
            async with serving(runtime, "127.0.0.1", port):
                raise AssertionError("two listen on one port")
    assert not (runtime.settings.home / "api.json").exists()


#: Of SQLite and of PostgreSQL, what refuses writes as a disk that is full does.
FULL = {
    True: [
        "CREATE TRIGGER full_disk BEFORE UPDATE ON process "
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    ],
    False: [
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$",
        "CREATE TRIGGER full_disk BEFORE UPDATE ON process "
        "FOR EACH ROW EXECUTE FUNCTION full_disk()",
    ],
}


async def test_it_is_ready_with_the_workers_that_live(api, runtime):
    now = runtime.clock.micros()
    for place, kind in enumerate(("worker", "worker", "scheduler")):
        beat = partial(processes.heartbeat, f"prc_{place}", kind, now, now)
        await runtime.door.write(beat)
    answer = await api("GET", "/readyz", token=None)
    assert (answer.status, answer.json) == (
        200,
        {
            "status": "ready",
            "database": True,
            "schema_current": True,
            "workers": 2,
            "not_well": [],
        },
    )


async def test_it_says_which_part_is_not_well_and_since_when(runtime, monkeypatch):
    monkeypatch.setattr(health, "KEEP_SECONDS", 0.0)
    (look,) = (
        route.handler for route in health.HealthRoutes(runtime).routes() if route.path == "/readyz"
    )

    async def since():
        answer = await look(None)
        assert (answer.status, answer.body["status"]) == (200, "ready")
        return {each["part"]: each["since"] for each in answer.body["not_well"]}

    before = runtime.clock.now()
    first = await since()
    assert first.keys() == {"worker", "scheduler"}
    assert before <= datetime.fromisoformat(first["worker"]) <= runtime.clock.now()
    now = runtime.clock.micros()
    await runtime.door.write(partial(processes.heartbeat, "prc_1", "worker", now, now))
    assert await since() == {"scheduler": first["scheduler"]}
    # Who falls ill again is ill since then.
    await runtime.door.write(partial(processes.forget, "prc_1"))
    assert (await since())["worker"] > first["worker"]
    # Of who fell silent the last word is known, whenever somebody asks.
    word = now - 45 * 1_000_000
    await runtime.door.write(partial(processes.heartbeat, "prc_2", "worker", now, now))
    assert "worker" not in await since()
    await runtime.door.write(partial(processes.heartbeat, "prc_2", "worker", word, word))
    assert datetime.fromisoformat((await since())["worker"]) == from_micros(word)


async def test_a_disk_that_is_nearly_full_is_not_well(api, monkeypatch):
    monkeypatch.setattr(health, "LEAST_DISK_MIB", 1 << 40)
    answer = await api("GET", "/readyz", token=None)
    assert answer.status == 200
    assert "disk" in [each["part"] for each in answer.json["not_well"]]


async def test_a_redis_that_does_not_answer_is_named_and_work_is_taken_all_the_same(
    api, runtime, monkeypatch
):
    monkeypatch.setitem(
        runtime.__dict__, "dispatcher", DramatiqDispatcher("redis://127.0.0.1:9/0")
    )
    answer = await api("GET", "/readyz", token=None)
    assert answer.status == 200
    assert answer.json["not_well"][0]["part"] == "redis"


async def test_a_redis_that_hangs_is_waited_for_by_one_thread_and_not_long(runtime, monkeypatch):
    monkeypatch.setattr(health, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(health, "REDIS_SECONDS", 0.1)
    came = []

    async def say_nothing(reader, writer):
        came.append(writer)

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    # Its client would wait for as long as a test that fails.
    url = f"redis://127.0.0.1:{port}/0?socket_timeout=600"
    monkeypatch.setitem(runtime.__dict__, "dispatcher", DramatiqDispatcher(url))
    (look,) = (
        route.handler for route in health.HealthRoutes(runtime).routes() if route.path == "/readyz"
    )
    try:
        async with asyncio.timeout(60):
            for _ in range(3):
                answer = await look(None)
                assert (answer.status, answer.body["not_well"][0]["part"]) == (200, "redis")
            while not came:
                await asyncio.sleep(0.01)
        assert len(came) == 1
    finally:
        silent.close()
        for writer in came:
            writer.close()


async def test_it_is_not_ready_with_a_schema_of_yesterday(api, runtime):
    def forget():
        runtime.door.database.execute_sql("DELETE FROM schema_migration_core")

    await runtime.door.write(forget)
    answer = await api("GET", "/readyz", token=None)
    assert (answer.status, answer.json["schema_current"]) == (503, False)
    assert [each["part"] for each in answer.json["not_well"]] == ["schema"]
    assert (await api("GET", "/healthz", token=None)).status == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_is_not_ready_while_the_database_cannot_be_written(
    api, database_url, monkeypatch
):
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.2)
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        answer = await api("GET", "/readyz", token=None)
        assert (answer.status, answer.json["database"]) == (503, False)
        assert [each["part"] for each in answer.json["not_well"]] == ["database"]
        assert (await api("GET", "/healthz", token=None)).status == 200
    finally:
        other.rollback()
        other.close()


async def test_it_is_not_ready_while_the_database_takes_locks_and_no_writes(
    api, runtime, monkeypatch
):
    """As on a disk that is full."""
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(health, "LEAST_DISK_MIB", 1 << 40)
    now = runtime.clock.micros()
    own = partial(processes.heartbeat, runtime.process.id, "api", now, now)
    await runtime.door.write(own)

    def fill():
        for each in FULL[is_sqlite()]:
            runtime.door.database.execute_sql(each)

    await runtime.door.write(fill)
    answer = await api("GET", "/readyz", token=None)
    assert (answer.status, answer.json["database"]) == (503, False)
    assert [each["part"] for each in answer.json["not_well"]] == ["database", "disk"]


async def test_requests_under_way_are_answered_before_it_stops(runtime, shelf, monkeypatch):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request):
        begun.set()
        await go_on.wait()
        return {"done": True}

    from codex32 import PUBLIC, Route

    route = Route("GET", "/slow", "shelf.slow", PUBLIC, slow)
    monkeypatch.setattr(runtime.plugins, "api_routes", lambda: [("shelf", route)])
    async with aiohttp.ClientSession() as session:
        async with serving(runtime, "127.0.0.1", 0) as url:

            async def ask():
                async with session.get(f"{url}/api/v1/plugins/shelf/slow") as response:
                    return await response.json()

            asked = asyncio.create_task(ask())
            await begun.wait()
            asyncio.get_running_loop().call_later(0.05, go_on.set)
        assert await asked == {"done": True}


class TestTheCommand:
    """``codex32 serve``, as one starts it."""

    @pytest.fixture
    def folder(self, tmp_path):
        settings = load_settings(folder=tmp_path, environ={})
        settings.home.mkdir()
        database = connect(settings.database_url)
        schema.upgrade(database, [core_migrations()])
        database.close()
        return tmp_path

    @pytest.fixture
    def serve(self, folder):
        started = []

        def start(*arguments):
            command = [sys.executable, "-m", "codex32", "serve", *arguments]
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True)
            started.append(process)
            return process

        yield start
        for process in started:
            process.kill()
            process.communicate()

    def url(self, folder, process):
        path, deadline = folder / ".codex32" / "api.json", time.monotonic() + 60
        while not path.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return json.loads(path.read_text())["url"]

    def test_it_serves_with_a_token_of_its_own_and_ends_cleanly(self, folder, serve):
        process = serve("--port", "0")
        url = self.url(folder, process)
        token = (folder / ".codex32" / "token").read_text().strip()
        with pytest.raises(URLError, match="401"):
            urlopen(f"{url}/api/v1/bots")
        request = Request(f"{url}/api/v1/bots", headers={"Authorization": f"Bearer {token}"})
        with urlopen(request) as answer:
            assert json.load(answer) == {"items": [], "next": None}
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert token not in out + err
        assert not (folder / ".codex32" / "api.json").exists()

    def test_a_second_one_on_the_same_port_says_so_in_a_line(self, folder, serve):
        port = self.url(folder, serve("--port", "0")).rpartition(":")[2]
        second = serve("--port", port)
        _, err = second.communicate(timeout=60)
        assert second.returncode not in (0, None)
        assert f"127.0.0.1:{port}: somebody listens there already" in err
        assert "Traceback" not in err
        assert (folder / ".codex32" / "api.json").exists()
