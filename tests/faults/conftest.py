"""Houses of separate processes, to be harmed.

Fixtures:

``redis`` (BundledRedis)
    A Redis of the test's own, which it may stop, kill and start.
``servers`` (ServersHouse)
    Not started; on ``database_url`` and ``redis``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from codex32_houses import ServersHouse, living, private_redis

from codex32.outside.redis_server import BundledRedis


@pytest.fixture
def redis() -> Iterator[BundledRedis]:
    with private_redis() as server:
        yield server


@pytest.fixture
def servers(tmp_path: Path, database_url: str, redis: BundledRedis) -> Iterator[ServersHouse]:
    environment = {"CODEX32_DATABASE_URL": database_url, "CODEX32_REDIS_URL": redis.url}
    with living(ServersHouse(tmp_path / "house", environment)) as house:
        yield house
