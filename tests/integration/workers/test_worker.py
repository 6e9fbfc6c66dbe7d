"""A Dramatiq worker in this process, on a real database and a real Redis."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker

from codex32.kernel.models import AttemptRow, BotRow, ExecutionRow, VersionRow
from codex32.runtime import open_runtime
from codex32.services.executions.starting import Start
from codex32_config import load_settings
from codex32_workers.broker import TicketConsumer
from codex32_workers.tickets import message
from codex32_workers.worker import make_broker


@pytest.fixture
def runtime(database_url, redis_url, tmp_path):
    settings = load_settings(
        folder=tmp_path,
        environ={},
        overrides={"database_url": database_url, "redis_url": redis_url},
    )
    made = open_runtime(settings, "worker")
    document = {"name": "noop", "type": "set", "with": {"values": {"a": 1}}}

    def store() -> None:
        common = {"origin": "api", "created_at": 0}
        BotRow.create(
            id="bot_1",
            workspace="default",
            name="noop",
            active_version_id="ver_1",
            updated_at=0,
            **common,
        )
        VersionRow.create(
            id="ver_1",
            bot_id="bot_1",
            number=1,
            digest="",
            document=json.dumps(document),
            text="",
            **common,
        )

    made.door.write_now(store)
    yield made
    made.close()


@pytest.fixture
def worker(runtime):
    broker = make_broker(runtime)
    made = dramatiq.Worker(broker, worker_threads=2)
    made.start()
    yield broker
    made.stop()
    broker.close()


def finished(runtime, ids, within_seconds=30.0):
    """The statuses of executions, once all have ended."""
    deadline = time.monotonic() + within_seconds
    while True:
        rows = runtime.door.read_now(
            lambda: list(ExecutionRow.select().where(ExecutionRow.id.in_(ids)))
        )
        if all(row.finished_at for row in rows):
            return {row.id: row.status for row in rows}
        assert time.monotonic() < deadline, [row.status for row in rows]
        time.sleep(0.02)


def start(runtime) -> str:
    submitted = runtime.starter.start_now(Start(bot="noop"))
    assert submitted.id is not None
    return submitted.id


def test_what_is_started_is_run_once_and_recorded(runtime, worker):
    ids = [start(runtime) for _ in range(200)]
    assert set(finished(runtime, ids).values()) == {"succeeded"}
    attempts = runtime.door.read_now(lambda: AttemptRow.select().count())
    assert attempts == 200


def test_a_message_by_stock_dramatiq_is_as_good_as_ours(runtime, worker, redis_url):
    execution = start(runtime)
    stock = RedisBroker(url=redis_url, middleware=[])
    stock.enqueue(message(execution))
    stock.enqueue(message("exe_forged"))
    stock.client.close()
    assert finished(runtime, [execution]) == {execution: "succeeded"}
    more = start(runtime)
    assert finished(runtime, [more]) == {more: "succeeded"}


def test_one_message_may_carry_several_executions(runtime, worker):
    ids = [start(runtime) for _ in range(3)]
    worker.actors["execute"].send(*ids, "exe_forged")
    assert finished(runtime, ids) == dict.fromkeys(ids, "succeeded")


def test_what_is_claimed_takes_room_before_it_has_begun(runtime, worker):
    host, consumer = worker.engine.host, TicketConsumer(worker)
    claims = [SimpleNamespace(id=f"exe_{n}", bot_id=f"bot_{n}") for n in range(host.concurrency)]
    assert consumer._room() > 0
    host.hold(claims)
    assert consumer._room() <= 0
    consumer.nack(SimpleNamespace(args=[claim.id for claim in claims], message_id="exe_0"))
    assert consumer._room() > 0


def test_a_hand_over_from_many_threads_loses_nothing(runtime, worker):
    ids = [start(runtime) for _ in range(40)]
    finished(runtime, ids)
    engine, begun = worker.engine, []
    begin, engine.host.begin = engine.host.begin, begun.append
    claims = [object() for _ in range(2000)]

    def hand_over(part) -> None:
        for claim in part:
            engine.hand_over([claim])

    threads = [threading.Thread(target=hand_over, args=(claims[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 60
    while len(begun) < len(claims) and time.monotonic() < deadline:
        time.sleep(0.01)
    engine.host.begin = begin
    assert {id(claim) for claim in begun} == {id(claim) for claim in claims}


def test_a_stopped_worker_takes_nothing_more(runtime):
    broker = make_broker(runtime)
    made = dramatiq.Worker(broker, worker_threads=1)
    made.start()
    made.stop()
    execution = start(runtime)
    broker.close()
    row = runtime.door.read_now(lambda: ExecutionRow.get(ExecutionRow.id == execution))
    assert row.status == "queued"
