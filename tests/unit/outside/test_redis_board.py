"""The board that processes share: what one writes the other reads, and nobody waits for Redis."""

import pytest

from codex32.kernel.contracts.board import LocalBoard
from codex32.outside.redis_board import RedisBoard


@pytest.fixture(params=["local", "nowhere"])
def board(request):
    return LocalBoard() if request.param == "local" else RedisBoard(lambda: None)


async def test_words_stand_until_they_are_wiped(board):
    await board.write("a", "1", seconds=60)
    assert list(await board.read(["a", "b"])) == ["1", None]
    await board.wipe(["a"])
    assert list(await board.read(["a"])) == [None]


async def test_one_claims_and_the_others_do_not(board):
    assert [await board.claim("p", "1", seconds=60) for _ in range(3)] == [True, False, False]


async def test_what_is_counted_is_forgotten_together():
    now = [0.0]
    board = LocalBoard(lambda: now[0])
    assert [await board.count("n", seconds=10) for _ in range(2)] == [1, 2]
    now[0] = 10.0
    assert await board.count("n", seconds=10) == 1
