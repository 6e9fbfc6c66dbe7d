import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex32.services.triggers.grid import MAX_MADE_UP, come, last_before

grids = st.lists(st.integers(0, 2000), min_size=1, max_size=60, unique=True).map(sorted)


def grid(times):  # type: ignore[no-untyped-def]
    asked = []

    def after(moment: int) -> int | None:
        asked.append(moment)
        return next((time for time in times if time > moment), None)

    after.asked = asked  # type: ignore[attr-defined]
    return after


def every(step: int):  # type: ignore[no-untyped-def]
    asked = []

    def after(moment: int) -> int:
        asked.append(moment)
        return (moment // step + 1) * step

    after.asked = asked  # type: ignore[attr-defined]
    return after


@given(grids, st.integers(0, 2500), st.integers(0, 300), st.sampled_from(["skip", "last", "all"]))
def test_every_time_is_answered_or_missed_and_none_twice(
    times: list[int], now: int, patience: int, on_missed: str
) -> None:
    first = times[0]
    now = max(now, first)
    found = come(first, grid(times), now, patience, on_missed)  # type: ignore[arg-type]

    come_by_now = [time for time in times if time <= now]
    answered = [*found.made_up, *found.due]
    passed = [
        time for time in come_by_now if found.missed and found.missed[0] <= time <= found.missed[1]
    ]
    assert sorted([*answered, *passed]) == come_by_now
    assert found.next_at == next((time for time in times if time > now), None)
    assert all(time >= now - patience for time in found.due)
    assert all(time < now - patience for time in [*found.made_up, *passed])
    if on_missed == "skip":
        assert not found.made_up
    if on_missed == "all":
        assert not passed
    if on_missed == "last":
        assert len(found.made_up) <= 1
        assert answered


@given(grids, st.integers(1, 2500))
def test_the_last_before_is_the_last(times: list[int], limit: int) -> None:
    limit = max(limit, times[0] + 1)

    assert last_before(times[0], grid(times), limit) == max(t for t in times if t < limit)


def test_a_year_of_seconds_costs_some_dozen_questions() -> None:
    year, second = 366 * 86400 * 1_000_000, 1_000_000
    after = every(second)

    found = come(0, after, year, 0, "last")

    assert found.made_up == ()  # the year's end itself is due
    assert found.missed == (0, year - second)
    assert len(after.asked) < 4 * math.log2(year)


def test_after_a_long_outage_only_so_many_are_made_up() -> None:
    found = come(10, every(10), 100_000, 0, "all")

    assert len(found.made_up) == MAX_MADE_UP
    assert found.missed == (10 * (MAX_MADE_UP + 1), 99_990)


@pytest.mark.parametrize("on_missed", ["skip", "last", "all"])
def test_a_single_moment_is_done_once_it_has_come(on_missed: str) -> None:
    late = come(50, grid([50]), 100, 10, on_missed)  # type: ignore[arg-type]
    prompt = come(50, grid([50]), 55, 10, on_missed)  # type: ignore[arg-type]

    assert late.next_at is None
    assert late.made_up == (() if on_missed == "skip" else (50,))
    assert late.missed == ((50, 50) if on_missed == "skip" else None)
    assert (prompt.due, prompt.next_at) == ((50,), None)
