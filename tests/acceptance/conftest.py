"""Two deployments of the whole product.

Fixtures:

``house`` (House, session, twice: ``[up]`` and ``[servers]``)
    A running house: ``codex32 up`` on SQLite with the bundled Redis, and ``serve``, ``scheduler``
    and two ``worker`` processes on PostgreSQL and Redis. Tests share it, so their bots have
    names of their own.
``new_house`` (House, twice, likewise)
    One that is not started yet, for tests that stop it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from codex32_houses import House, ServersHouse, UpHouse, living, private_redis

DEPLOYMENTS = ("up", "servers")


@contextmanager
def _house(request: pytest.FixtureRequest, folder: Path) -> Iterator[House]:
    if request.param == "up":
        with living(UpHouse(folder)) as house:
            yield house
        return
    server = request.getfixturevalue("postgres_server")
    url = server.create()
    with private_redis() as redis:
        environment = {"CODEX32_DATABASE_URL": url, "CODEX32_REDIS_URL": redis.url}
        with living(ServersHouse(folder, environment)) as house:
            yield house
    server.drop(url)


@pytest.fixture(scope="session", params=DEPLOYMENTS)
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with _house(request, tmp_path_factory.mktemp(request.param)) as built:
        built.start()
        yield built


@pytest.fixture(params=DEPLOYMENTS)
def new_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with _house(request, tmp_path) as built:
        yield built
