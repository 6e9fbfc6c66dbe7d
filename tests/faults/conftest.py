"""Houses of separate processes, to be harmed.

Fixtures:

``redis`` (BundledRedis)
    A Redis of the test's own, which it may stop, kill and start.
``servers`` (ServersHouse)
    Not started; on ``database_url`` and ``redis``.
``short`` (dict[str, str])
    Settings of a house that is to be harmed: leases of 3 s, mending every second.
``harmed_postgres`` (PrivatePostgres, session)
    A server that tests of this folder may kill, if they start it again.
``arena`` (Arena, twice: ``[sqlite]`` and ``[postgresql]``)
    Not opened; with its own Redis, a world that counts effects, and a short lease.
``proxied_arena`` (Arena, likewise)
    The same with proxies before Redis and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import codex32_violence.arena
import pytest
from codex32_houses import ServersHouse, living, private_redis
from codex32_postgres import PrivatePostgres, private_postgres
from codex32_violence.arena import Arena

from codex32.outside.redis_server import BundledRedis

#: So that tests need not wait as long as people do; what they measure says so.
SHORT = {
    "CODEX32_WORKER__LEASE_SECONDS": "3",
    "CODEX32_RECOVERY__INTERVAL_SECONDS": "1",
    # More violence than any step deserves: it must not be taken for the step's own fault.
    "CODEX32_RECOVERY__MAX_DEATHS": "1000",
    "CODEX32_WORKER__STOP_GRACE_SECONDS": "5",
}

#: The programs of these tests tell of themselves in files outside, and do what no other sandbox
#: would let them do.
UNGUARDED = {"CODEX32_SANDBOX__BACKEND": "plain"}


@pytest.fixture
def redis() -> Iterator[BundledRedis]:
    with private_redis() as server:
        yield server


@pytest.fixture
def servers(tmp_path: Path, database_url: str, redis: BundledRedis) -> Iterator[ServersHouse]:
    environment = {
        "CODEX32_DATABASE_URL": database_url,
        "CODEX32_REDIS_URL": redis.url,
        **UNGUARDED,
    }
    with living(ServersHouse(tmp_path / "house", environment)) as house:
        yield house


@pytest.fixture
def short() -> dict[str, str]:
    return SHORT


@pytest.fixture(scope="session")
def harmed_postgres() -> Iterator[PrivatePostgres]:
    with private_postgres() as server:
        yield server


@contextmanager
def _arena(request: pytest.FixtureRequest, folder: Path, **how: object) -> Iterator[Arena]:
    how |= UNGUARDED
    kind = request.param
    server = request.getfixturevalue("harmed_postgres") if kind == "postgresql" else None
    with codex32_violence.arena.arena(folder, kind, server, **how) as built:  # type: ignore[arg-type]
        yield built


@pytest.fixture(params=["sqlite", "postgresql"])
def arena(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Arena]:
    with _arena(request, tmp_path, **SHORT) as built:
        yield built


@pytest.fixture(params=["sqlite", "postgresql"])
def proxied_arena(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Arena]:
    with _arena(request, tmp_path, proxied=True, **SHORT) as built:
        yield built
