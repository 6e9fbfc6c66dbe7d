import asyncio

import pytest

from codex32.engine.running.timer import Timer
from codex32.outside.turns import Turns


async def test_owners_take_turns_however_often_each_asks():
    turns, order, go = Turns(1), [], asyncio.Event()

    async def ask(owner: str) -> None:
        async with turns.turn(owner):
            order.append(owner)
            await go.wait()

    tasks = [asyncio.create_task(ask(owner)) for owner in ["a"] * 5 + ["b"] * 2 + ["c"]]
    await asyncio.sleep(0)
    assert order == ["a"]
    go.set()
    await asyncio.gather(*tasks)
    assert order == ["a", "a", "b", "c", "a", "b", "a", "a"]


async def test_no_more_than_the_limit_are_inside_and_none_is_lost_by_a_cancellation():
    turns, inside, most = Turns(3), 0, 0

    async def ask(number: int) -> None:
        nonlocal inside, most
        async with turns.turn(str(number % 4)):
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(0)
            finally:
                inside -= 1

    tasks = [asyncio.create_task(ask(number)) for number in range(60)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (inside, most) == (0, 3)
    assert turns._inside.total() == 0
    assert turns._waiting == {}


async def test_one_owner_leaves_a_quarter_of_the_places_to_others():
    turns, release = Turns(4), asyncio.Event()
    entered: list[str] = []

    async def stay(owner: str) -> None:
        async with turns.turn(owner):
            entered.append(owner)
            await release.wait()

    tasks = [asyncio.create_task(stay("hog")) for _ in range(10)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(stay("small")))
    await asyncio.sleep(0)
    assert sorted(entered) == ["hog", "hog", "hog", "small"]
    release.set()
    await asyncio.gather(*tasks)
    assert (len(entered), turns._inside.total(), turns._waiting) == (11, 0, {})


async def test_a_limit_stands_still_while_it_is_paused():
    timer = Timer(0.05)
    async with timer.timeout:
        timer.pause()
        timer.pause()
        await asyncio.sleep(0.1)
        timer.resume()
        await asyncio.sleep(0.05)
        timer.resume()
        assert not timer.timeout.expired()
    with pytest.raises(TimeoutError):
        async with Timer(0.02).timeout:
            await asyncio.sleep(5)


async def test_what_has_no_limit_has_none_after_a_pause():
    timer = Timer(None)
    async with timer.timeout:
        timer.pause()
        timer.resume()
        assert timer.timeout.when() is None
