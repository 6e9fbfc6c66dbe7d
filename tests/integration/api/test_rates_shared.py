"""How often a caller may call is counted by all processes of the API together, through Redis."""

import asyncio
import contextlib
import socket
import time

import pytest
import redis

from codex32.api.rates import Limiter, TooManyRequests
from codex32.api.sharing import shared
from codex32.kernel.contracts.call_book import Calls
from codex32.outside.redis_calls import RedisCallBook


def limiter(monotonic=time.monotonic):
    return Limiter({"normal": 60, "sign-in": 4}, monotonic)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def refused(one, who):
    try:
        one.take("sign-in", who)
    except TooManyRequests:
        return True
    return False


async def test_what_one_process_counted_another_refuses(redis_url):
    here, there = limiter(), limiter()
    async with (
        shared(here, RedisCallBook(redis_url)),
        shared(there, RedisCallBook(redis_url)),
    ):
        for _ in range(3):
            here.take("sign-in", "192.0.2.7")
        await until(lambda: not here.counted.is_set())
        there.take("sign-in", "192.0.2.7")  # it knows of none but its own yet
        await until(lambda: not there.counted.is_set())
        await until(lambda: refused(there, "192.0.2.7"))
        assert there.take("sign-in", "192.0.2.8").remaining == 3
        assert there.take("normal", "192.0.2.7").remaining == 59


def test_calls_of_all_add_up_and_come_back_in_their_time(redis_url):
    one, two = RedisCallBook(redis_url), RedisCallBook(redis_url)
    assert one.add([Calls("a", 3, 15.0)])[0] == pytest.approx(45.0)
    assert two.add([Calls("a", 1, 15.0), Calls("b", 2, 1.0)]) == pytest.approx([60.0, 2.0], abs=5)
    with redis.Redis.from_url(redis_url) as client:
        names = sorted(client.scan_iter("codex32:calls:*"))
        assert len(names) == 2
        # Nothing stays behind once all may be made anew.
        assert all(0 < client.pttl(name) <= 60_001 for name in names)
    one.close()
    two.close()


async def test_without_redis_each_counts_by_itself(caplog):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    alone = limiter(lambda: 0.0)
    async with shared(alone, RedisCallBook(f"redis://127.0.0.1:{port}/0")):
        for _ in range(4):
            alone.take("sign-in", "a")
        await until(lambda: "not shared" in caplog.text)
        assert refused(alone, "a")
        assert alone.take("sign-in", "b").remaining == 3


def test_what_came_while_the_book_was_asked_is_counted_too():
    one = limiter(lambda: 0.0)
    one.take("sign-in", "a")
    told = one.unwritten()
    one.take("sign-in", "a")
    one.learn(told, [30.0])  # with one call of another process
    assert one.take("sign-in", "a").remaining == 0
    with pytest.raises(TooManyRequests):
        one.take("sign-in", "a")
