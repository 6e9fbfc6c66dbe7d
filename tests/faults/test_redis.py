"""Redis only carries ids: without it, and whatever stands in it, every execution runs once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dramatiq
import pytest
import redis as redis_client
from codex32_houses import ServersHouse, until
from dramatiq.brokers.redis import RedisBroker

from codex32.outside.redis_server import BundledRedis

pytestmark = [
    pytest.mark.fault,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]

LIST, MESSAGES = "dramatiq:executions", "dramatiq:executions.msgs"
APPENDS = """\
inputs: {path: {type: string}}
type: python
with:
  args: {path: "${{ inputs.path }}"}
  code: |
    def main(path):
        with open(path, "a") as file:
            file.write("once\\n")
"""
QUICK = "type: set\nwith: {values: {n: 1}}\n"


@contextmanager
def client_of(server: BundledRedis) -> Iterator[redis_client.Redis]:
    with redis_client.Redis.from_url(server.url) as client:
        yield client


def start_without_workers(house: ServersHouse) -> None:
    house.workers = 0
    house.start()
    house.add("quick", QUICK)
    house.add("appends", APPENDS)


def test_what_was_queued_when_redis_died_runs_all_the_same(servers, redis) -> None:
    start_without_workers(servers)
    queued = [servers.execute("quick") for _ in range(20)]
    with client_of(redis) as client:
        assert client.llen(LIST) == 20
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
    until(redis.alive, "Redis is there again")
    with client_of(redis) as client:
        assert client.llen(LIST) == 0

    servers.hire(2)

    assert [servers.succeed(each)["attempt"] for each in queued] == [1] * 20


def test_without_redis_workers_poll_and_with_it_they_are_told_again(servers, redis) -> None:
    servers.start()
    servers.add("quick", QUICK)
    servers.succeed(servers.execute("quick"))

    redis.stop()
    meanwhile = [servers.execute("quick") for _ in range(5)]
    for each in meanwhile:
        servers.succeed(each, seconds=30)
    redis.start()

    servers.succeed(servers.execute("quick"), seconds=30)
    assert all(process.poll() is None for process in servers.processes.values())


def test_a_house_without_any_redis_works(servers, redis) -> None:
    redis.stop()
    del servers.environment["CODEX32_REDIS_URL"]
    servers.start()
    servers.add("quick", QUICK)
    for each in [servers.execute("quick") for _ in range(5)]:
        servers.succeed(each, seconds=30)


def test_an_id_that_comes_many_times_runs_once(servers, redis, tmp_path: Path) -> None:
    start_without_workers(servers)
    path = tmp_path / "lines"
    execution_id = servers.execute("appends", path=str(path))
    with client_of(redis) as client:
        client.rpush(LIST, *[execution_id] * 9)

    servers.hire(2)

    assert servers.succeed(execution_id)["attempt"] == 1
    with client_of(redis) as client:
        until(lambda: client.llen(LIST) == 0, "the list is empty")
    servers.succeed(servers.execute("quick"))
    assert path.read_text() == "once\n"


def test_forged_and_garbled_messages_harm_nothing(servers, redis, tmp_path: Path) -> None:
    servers.start()
    servers.add("appends", APPENDS)
    path = tmp_path / "lines"
    ended = servers.execute("appends", path=str(path))
    servers.succeed(ended)
    workers = {name: process.pid for name, process in servers.processes.items()}

    with client_of(redis) as client:
        garbage = [
            b"\xff\xfe\x00",
            b"",
            b"exe_nobody",
            b"'; DROP TABLE execution; --",
            b"x" * 10**6,
        ]
        client.rpush(LIST, *garbage, ended, ended)
        client.hset(MESSAGES, mapping={"exe_nobody": b"\x80 no message", ended: b"{}"})
        # A stock Dramatiq producer, who knows the queue's name and means ill.
        broker = RedisBroker(client=client)
        for arguments in (("exe_nobody",), (), ({"$": 1},), (ended, "more")):
            broker.enqueue(
                dramatiq.Message(
                    queue_name="executions",
                    actor_name="execute",
                    args=arguments,
                    kwargs={},
                    options={},
                )
            )
        broker.close()
        until(lambda: client.llen(LIST) == 0, "all of it has been drawn")

    after = servers.execute("appends", path=str(path))
    assert servers.succeed(after, seconds=30)["attempt"] == 1
    assert servers.execution(ended)["attempt"] == 1
    assert path.read_text() == "once\nonce\n"
    assert {name: process.pid for name, process in servers.processes.items()} == workers
    assert all(process.poll() is None for process in servers.processes.values())
    assert "Traceback" not in servers.told()


def test_redis_that_holds_another_kind_of_value_is_no_harm(servers, redis) -> None:
    servers.start()
    servers.add("quick", QUICK)
    with client_of(redis) as client:
        client.set(LIST, "not a list")
        client.set(MESSAGES, "not a hash")
    for each in [servers.execute("quick") for _ in range(3)]:
        servers.succeed(each, seconds=30)
