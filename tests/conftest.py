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

import base64
import inspect
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from blockbuster import blockbuster_ctx
from codex32_postgres import PostgresServer, private_postgres

from codex32 import ManualClock, MigrationSource
from codex32.kernel import schema
from codex32.kernel.database import Door, connect
from codex32.kernel.masking import HandedOut, handed_out
from codex32.outside.redis_server import BundledRedis
from codex32.services.safe import audit
from codex32.services.safe.keyring import KeySource
from codex32.services.safe.vault import Vault

# How busy the machine is, is no fault of a test. A pull request is judged by its own changes: the
# same examples each time. Elsewhere they are new.
hypothesis.settings.register_profile(
    "house",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("house")

_POSTGRES_URL = os.environ.get("CODEX32_TEST_POSTGRES_URL")
_REDIS_URL = os.environ.get("CODEX32_TEST_REDIS_URL")
for _name in list(os.environ):
    if _name.startswith("CODEX32_") or _name in {"DATABASE_URL", "TEST_DATABASE_URL", "REDIS_URL"}:
        del os.environ[_name]
# Commands that tests start would compile all modules each time, which costs more than they do.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Hundreds of processes are started here. Each would compile all that it imports for itself, which
# takes longer than what most of them do.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

CORE = MigrationSource("core", files("codex32_migrations"))


# time and the event loop


@pytest.fixture(autouse=True)
def _no_secret_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test hands out is masked in no log of another."""
    fresh = HandedOut()
    for name in ("_values", "_kept", "_masker"):
        monkeypatch.setattr(handed_out, name, getattr(fresh, name))


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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    if _POSTGRES_URL:
        yield PostgresServer(_POSTGRES_URL)
        return
    with private_postgres() as server:
        yield server


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

    keys = KeySource(f"test:{base64.b64encode(b'k' * 32).decode()}", Path("nowhere"))
    audit.use(lambda: audit.VaultKeys(Vault(keys)))

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes runs where it is asked for: with ``-m long``, as ``make chaos`` does."""
    if "long" in config.option.markexpr.split():
        return
    left_out = [item for item in items if "long" in item.keywords]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
