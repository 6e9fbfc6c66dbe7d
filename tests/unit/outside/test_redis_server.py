from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from codex32.outside import redis_server
from codex32.outside.redis_server import (
    LONGEST_SOCKET_PATH_BYTES,
    BundledRedis,
    RedisNotRunning,
)


@pytest.fixture
def home():
    # Not tmp_path: its name may be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="c32-") as folder:
        yield Path(folder)


@pytest.fixture
def server(home: Path):
    server = BundledRedis(home)
    yield server
    server.stop()


def _until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _pid(server: BundledRedis) -> int:
    with redis.Redis.from_url(server.url) as client:
        return client.info("server")["process_id"]


def _gone(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return text.rpartition(")")[2].split()[0] == "Z"


def test_a_started_server_answers_and_a_stopped_one_does_not(server: BundledRedis) -> None:
    assert not server.alive()
    server.start()
    assert server.alive()
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"
    pid = _pid(server)
    server.stop()
    assert not server.alive()
    assert _gone(pid)


def test_it_loses_no_message_to_a_full_memory_and_writes_no_snapshot(server, home) -> None:
    server.start()
    with redis.Redis.from_url(server.url) as client:
        wanted = {"maxmemory-policy": "noeviction", "appendonly": "no", "save": "", "port": "0"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
    server.stop()
    assert [path.name for path in home.iterdir()] == ["redis.log"]


def test_only_its_user_may_connect(server: BundledRedis, home: Path) -> None:
    server.start()
    assert (home / "redis.sock").stat().st_mode & 0o777 == 0o700


def test_a_server_that_was_killed_is_started_again_under_the_same_url(server, caplog) -> None:
    server.start()
    first = _pid(server)
    os.kill(first, signal.SIGKILL)
    _until(lambda: _gone(first) and server.alive())
    assert _pid(server) != first
    assert "ended with code -9" in caplog.text


def test_a_home_may_be_called_anything(home: Path) -> None:
    server = BundledRedis(home / "my bots, 100%25 'mine'?#")
    server.start()
    try:
        assert _pid(server) > 0
    finally:
        server.stop()


def test_it_can_be_stopped_and_started_again(server: BundledRedis) -> None:
    for _ in range(2):
        server.start()
        server.start()
        assert server.alive()
        server.stop()
        server.stop()


def test_it_outlives_the_thread_that_started_it(server: BundledRedis) -> None:
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    first = _pid(server)
    assert server.alive()
    assert _pid(server) == first


def test_a_killed_owner_leaves_no_server_behind(home: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from codex32.outside.redis_server import BundledRedis\n"
        "BundledRedis(Path(sys.argv[1])).start(); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        pid = _pid(BundledRedis(home))
        owner.kill()
    _until(lambda: _gone(pid))


def test_a_home_with_a_long_path_has_its_socket_in_a_private_folder(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30)
    server = BundledRedis(home)
    path = Path(server.url.removeprefix("unix://"))
    assert len(os.fsencode(path)) <= LONGEST_SOCKET_PATH_BYTES
    assert BundledRedis(home).url == server.url
    server.start()
    try:
        assert server.alive()
        assert path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
        path.parent.rmdir()


def test_a_folder_others_may_look_into_is_refused_for_the_socket(tmp_path: Path) -> None:
    home = tmp_path / ("wide" * 30)
    server = BundledRedis(home)
    folder = Path(server.url.removeprefix("unix://")).parent
    folder.mkdir(mode=0o755)
    try:
        with pytest.raises(RedisNotRunning, match="not a private folder"):
            server.start()
    finally:
        folder.rmdir()


def test_a_server_that_cannot_start_says_what_it_said_itself(server, home, monkeypatch) -> None:
    (home / "redis.sock").mkdir()  # the server cannot listen there
    with pytest.raises(RedisNotRunning, match=r"ended at once.*redis\.log says: .*socket"):
        server.start()
    (home / "redis.sock").rmdir()
    server.start()
    assert server.alive()


def test_a_missing_wheel_is_named_with_the_ways_out(server, monkeypatch) -> None:
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RedisNotRunning, match=r"install codex32\[local\] or set CODEX32_REDIS"):
        server.start()
