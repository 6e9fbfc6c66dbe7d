"""A running execution hears of its cancellation at once; without Redis, with the heartbeat."""

from __future__ import annotations

import pytest
from codex32_houses import ServersHouse, descendants, until

from codex32.kernel.statuses import Status
from codex32.outside.redis_server import BundledRedis

pytestmark = pytest.mark.fault

BOT = """\
type: python
with:
  code: |
    import signal, time

    def main():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)
"""


def begun(servers: ServersHouse) -> list[str]:
    servers.start()
    servers.add("hangs", BOT)
    ids = [servers.execute("hangs") for _ in range(3)]
    until(lambda: len(programs(servers)) >= 3, "three programs run")
    return ids


def programs(servers: ServersHouse) -> set[int]:
    """The processes that keep programs, and the programs."""
    below = [each for p in servers.processes.values() for each in descendants(p.pid)]
    return {pid for pid, text in below if "codex32-program" in text}


def test_it_is_heard_long_before_the_next_heartbeat(servers: ServersHouse) -> None:
    servers.environment["CODEX32_WORKER__LEASE_SECONDS"] = "600"
    servers.environment["CODEX32_WORKER__PROGRAMS"] = "4"
    ids = begun(servers)
    told = servers.ask("executions", "cancel", "--bot", "hangs", "--yes")
    assert {each["id"] for each in told["cancelled"]} == set(ids)
    for each in ids:
        servers.reach(each, Status.CANCELLED, seconds=60)
    until(lambda: not programs(servers), "no program is left")


def test_without_redis_the_heartbeat_brings_it(servers: ServersHouse, redis: BundledRedis) -> None:
    servers.environment["CODEX32_WORKER__LEASE_SECONDS"] = "3"
    servers.environment["CODEX32_WORKER__PROGRAMS"] = "4"
    ids = begun(servers)
    redis.stop()
    servers.ask("executions", "cancel", *ids)
    for each in ids:
        servers.reach(each, Status.CANCELLED, seconds=60)
    until(lambda: not programs(servers), "no program is left")
