"""The house's time, and what is believed of leases after it has jumped."""

from __future__ import annotations

from datetime import timedelta

from codex32.kernel.clock import SystemClock, to_micros
from codex32.services.upkeep import timekeeping
from codex32.services.upkeep.timekeeping import Timekeeper, ask, follow


def test_with_postgresql_the_house_goes_by_its_clock(door, tmp_path) -> None:
    wrong = tmp_path / "seconds"
    wrong.write_text("-3600")
    clock = SystemClock()
    clock.shift_from(str(wrong))
    right = SystemClock().now()
    door.read_now(follow, clock)
    away = right - clock.now()
    if door.read_now(ask) is None:  # SQLite: the machine's clock is all there is
        assert away > timedelta(minutes=59)
    else:
        assert abs(away) < timedelta(seconds=5)


async def test_after_a_jump_leases_are_not_judged_for_a_while(door, manual_clock) -> None:
    keeper = Timekeeper(manual_clock, settle_seconds=0.2)
    assert await keeper.look(door)
    for seconds in (3600, -3600):
        manual_clock.advance(seconds)
        assert not await keeper.look(door)
        keeper._settled_at = 0
        assert await keeper.look(door)


async def test_a_test_clock_is_left_alone(door, manual_clock) -> None:
    before = to_micros(manual_clock.now())
    await door.read(follow, manual_clock)
    assert manual_clock.micros() == before


def test_an_answer_that_was_waited_for_is_not_the_one_that_counts(door, monkeypatch) -> None:
    # The first question opens a connection: its middle is 40 ms from when it was answered.
    moments = iter([0, 80_000, 80_100, 80_500, 80_600, 81_200])
    monkeypatch.setattr(timekeeping, "steady_micros", lambda: next(moments))
    answer = door.read_now(ask)
    if answer is not None:  # SQLite has no clock
        assert answer[1] == 80_300
