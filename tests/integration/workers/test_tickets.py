"""The queue in Redis, on a real server."""

from __future__ import annotations

import json
import threading
import time

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from codex32_workers.tickets import ACTOR, QUEUE, Tickets, message


@pytest.fixture
def tickets(redis_url):
    made = Tickets(redis_url)
    yield made
    made.close()


@pytest.fixture
def client(redis_url):
    made = redis.Redis.from_url(redis_url)
    yield made
    made.close()


def test_a_ticket_is_a_message_as_dramatiq_writes_it(tickets, client, redis_url):
    tickets.push(["exe_1"])
    stock = RedisBroker(url=redis_url, middleware=[])
    assert client.lrange(f"dramatiq:{QUEUE}", 0, -1) == [b"exe_1"]
    body = json.loads(client.hget(f"dramatiq:{QUEUE}.msgs", "exe_1"))
    assert (body["actor_name"], body["args"], body["message_id"]) == (ACTOR, ["exe_1"], "exe_1")
    consumer = stock.consume(QUEUE, prefetch=1, timeout=100)
    fetched = next(consumer)
    assert fetched.args == ("exe_1",)
    consumer.ack(fetched)
    stock.client.close()


def test_tickets_of_many_at_once_are_each_as_dramatiq_writes_it(tickets, client):
    ids = [f"exe_{n:026}" for n in range(3)]
    tickets.push(ids)
    tickets.push([])
    for each in ids:
        body = json.loads(client.hget(f"dramatiq:{QUEUE}.msgs", each))
        stock = json.loads(message(each).encode())
        assert body == {**stock, "message_timestamp": body["message_timestamp"]}


def test_the_same_id_twice_is_one_ticket(tickets):
    tickets.push(["exe_1", "exe_2", "exe_1"])
    tickets.push(["exe_2"])
    assert tickets.depth() == 2


def test_a_drawn_ticket_leaves_no_message_behind(tickets, client):
    tickets.push([f"exe_{n}" for n in range(5)])
    drawn = tickets.wait(0.1)
    tickets.discard(2, drawn)
    assert tickets.depth() == 2
    assert client.hlen(f"dramatiq:{QUEUE}.msgs") == 2
    tickets.discard(10)
    assert client.keys("*") == []


def test_waiting_ends_when_a_ticket_comes(tickets):
    threading.Timer(0.05, lambda: tickets.push(["exe_1"])).start()
    begun = time.monotonic()
    assert tickets.wait(60) == "exe_1"
    assert time.monotonic() - begun < 5


def test_rubbish_in_the_list_is_drawn_like_any_ticket(tickets, client):
    client.rpush(f"dramatiq:{QUEUE}", b"\xff\xfe not an id")
    assert tickets.wait(0.1) is not None
    tickets.discard(0, "\ufffd\ufffd not an id")


def test_without_redis_nothing_raises_and_nothing_is_tried_again_at_once(tmp_path):
    tickets = Tickets(f"unix://{tmp_path}/nothing.sock")
    tickets.push(["exe_1"])
    begun = time.monotonic()
    tickets.push(["exe_2"])
    tickets.discard(1)
    assert time.monotonic() - begun < 0.1
    assert tickets.wait(0.01) is None
    assert tickets.depth() is None
    tickets.close()


def test_a_message_names_its_execution():
    assert isinstance(message("exe_1"), dramatiq.Message)
    assert message("exe_1").queue_name == QUEUE
