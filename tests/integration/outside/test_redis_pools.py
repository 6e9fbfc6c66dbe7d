"""Connections to Redis as they are told of: those of all clients of the process together."""

import gc

import pytest
import redis as redis_client

from codex32.kernel.pools import pools
from codex32.outside.redis_board import RedisBoard
from codex32.outside.redis_pools import watched
from codex32_workers.tickets import Tickets


@pytest.fixture
def before():
    gc.collect()  # what earlier tests have left
    return pools.look().get("redis", (0, 0, 0))


def more(before):
    now = pools.look().get("redis", (0, 0, 0))
    return tuple(n - b for n, b in zip(now, before, strict=True))


def test_connections_are_told_of_while_they_are_there(redis_url, before):
    tickets = Tickets(redis_url)
    assert tickets.depth() == 0
    assert more(before) == (1, 0, 0)
    with tickets.client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("anything")
        assert more(before) == (1, 1, 0)
        assert tickets.depth() == 0
        assert more(before) == (2, 1, 0)
    tickets.close()
    del tickets, channel
    gc.collect()
    assert more(before) == (0, 0, 0)


async def test_those_of_event_loops_count_too(redis_url, before):
    board = RedisBoard(lambda: redis_url)
    await board.write("a", "1", seconds=60)
    assert more(before) == (1, 0, 0)
    await board.close()


def test_a_client_that_reached_nobody_has_none(before, unused_tcp_port):
    client = watched(redis_client.Redis(port=unused_tcp_port, retry=None))
    with pytest.raises(redis_client.ConnectionError):
        client.ping()
    assert more(before)[1] == 0
