from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex32.kernel.clock import ManualClock, SystemClock, from_micros, steady_micros, to_micros

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_stored_time_comes_back_as_the_same_moment(moment):
    assert from_micros(to_micros(moment)) == moment


def test_a_stored_time_comes_back_in_utc():
    tokyo = datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    assert from_micros(to_micros(tokyo)).isoformat() == "2026-01-01T00:00:00+00:00"


def test_a_time_without_a_zone_is_not_stored():
    with pytest.raises(TypeError):
        to_micros(datetime(2026, 1, 1))


def test_the_systems_clock_is_aware_and_in_utc():
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_a_clock_that_follows_another_is_not_moved_by_the_machines_own(tmp_path):
    clock = SystemClock()
    wrong = tmp_path / "seconds"
    wrong.write_text("3600")
    clock.shift_from(str(wrong))
    assert clock.now() - datetime.now(UTC) > timedelta(minutes=59)
    told = to_micros(NEW_YEAR)
    clock.follow(told, steady_micros() - 5_000_000)
    assert timedelta(seconds=5) <= clock.now() - NEW_YEAR < timedelta(seconds=10)


def test_a_manual_clock_stands_until_it_is_moved():
    clock = ManualClock(NEW_YEAR)
    assert clock.now() == clock.now() == NEW_YEAR
    clock.advance(90.5)
    assert clock.now() == NEW_YEAR + timedelta(seconds=90.5)
    clock.advance(-90.5)
    assert clock.micros() == to_micros(NEW_YEAR)
    clock.set(datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9))))
    assert clock.now().isoformat() == "2026-01-01T00:00:00+00:00"
