"""The board over a real Redis: processes share it, and go on alone while it is away."""

import pytest
import redis as redis_client

from codex32.outside.redis_board import RedisBoard


@pytest.fixture
async def boards(redis_url):
    two = [RedisBoard(lambda: redis_url) for _ in range(2)]
    yield two
    for each in two:
        await each.close()


async def test_what_one_process_writes_the_others_read(boards):
    one, other = boards
    await one.write("a", "1", seconds=60)
    assert list(await other.read(["a", "b"])) == ["1", None]
    await other.wipe(["a"])
    assert list(await one.read(["a"])) == [None]


async def test_of_all_processes_one_claims(boards):
    one, other = boards
    assert [await each.claim("probe", "1", seconds=60) for each in (one, other, one)] == [
        True,
        False,
        False,
    ]


async def test_all_count_together_and_for_a_limited_time(boards, redis_url):
    one, other = boards
    assert [await each.count("faults", seconds=60) for each in (one, other, one)] == [1, 2, 3]
    await one.write("word", "x", seconds=60)
    await one.claim("probe", "x", seconds=60)
    with redis_client.Redis.from_url(redis_url) as client:
        left = [client.pttl(f"codex32:board:{key}") for key in ("faults", "word", "probe")]
    assert all(0 < each <= 60_000 for each in left)


async def test_a_redis_that_is_gone_leaves_each_its_own(redis_url, unused_tcp_port):
    lost = RedisBoard(lambda: f"redis://127.0.0.1:{unused_tcp_port}/0")
    await lost.write("a", "1", seconds=60)
    assert list(await lost.read(["a"])) == ["1"]
    assert [await lost.claim("p", "1", seconds=60) for _ in range(2)] == [True, False]
    assert [await lost.count("n", seconds=60) for _ in range(2)] == [1, 2]
    await lost.close()
