"""Deadlines that are mostly taken back, and those that come."""

import asyncio

from codex32.engine.running.deadlines import YOUNG_SECONDS, Deadlines


async def test_each_deadline_comes_at_its_time_and_in_order():
    deadlines, loop, came = Deadlines(), asyncio.get_running_loop(), []
    began, done = loop.time(), asyncio.Event()

    def note(seconds: float) -> None:
        came.append((seconds, loop.time() - began))
        if len(came) == 5:
            done.set()

    for seconds in (0.35, YOUNG_SECONDS, 0.0, 0.1, 0.5):
        deadlines.call_later(seconds, lambda seconds=seconds: note(seconds))
    await asyncio.wait_for(done.wait(), 60)
    assert [seconds for seconds, _ in came] == [0.0, 0.1, YOUNG_SECONDS, 0.35, 0.5]
    assert all(at >= seconds for seconds, at in came)
    assert deadlines.young == {}


async def test_what_is_taken_back_young_or_old_never_comes():
    deadlines, came, over = Deadlines(), [], asyncio.Event()
    taken = [deadlines.call_later(seconds, came.append) for seconds in (0.05, 0.25, 60.0)]
    old = deadlines.call_later(YOUNG_SECONDS + 0.1, lambda: came.append("old"))
    deadlines.call_later(YOUNG_SECONDS, old.cancel)
    deadlines.call_later(YOUNG_SECONDS + 0.2, over.set)
    for each in taken:
        each.cancel()
        each.cancel()
    await asyncio.wait_for(over.wait(), 60)
    assert came == []


async def test_nothing_is_left_to_wake_for_where_all_is_taken_back():
    deadlines = Deadlines()
    for _ in range(1000):
        deadlines.call_later(60.0, print).cancel()
    assert deadlines.young == {}
    await asyncio.sleep(YOUNG_SECONDS + 0.05)  # in which the one look comes, and finds nothing
    assert not deadlines._looking
    again = deadlines.call_later(60.0, print)
    assert list(deadlines.young) == [again]
    again.cancel()
