import itertools
from datetime import UTC, datetime, timedelta

import pytest

from codex32.builtin.triggers.at import AtTrigger
from codex32.builtin.triggers.every import EveryTrigger

every, at = EveryTrigger(), AtTrigger()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("config", "after", "expected"),
    [
        ("5m", NOON, NOON + timedelta(minutes=5)),
        ("5m", NOON - timedelta(microseconds=1), NOON),
        ("5m", NOON + timedelta(seconds=17), NOON + timedelta(minutes=5)),
        (
            "1500ms",
            datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC),
            datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC),
        ),
        ("1d", NOON, datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_every_fires_on_the_grid_of_the_epoch(config, after, expected):
    assert list(every.problems(config, "UTC")) == []
    assert every.next_fire_at(config, "UTC", after) == expected


def test_every_knows_no_change_of_clocks():
    after = datetime(2026, 3, 28, 23, tzinfo=UTC)
    moments = []
    for _ in range(4):
        after = every.next_fire_at("1h", "Europe/Berlin", after)
        moments.append(after)
    assert {b - a for a, b in itertools.pairwise(moments)} == {timedelta(hours=1)}


@pytest.mark.parametrize("config", ["500ms", "0s", "5", "often", "400d", ""])
def test_every_refuses_what_is_no_beat(config):
    (problem,) = every.problems(config, "UTC")
    assert problem.code == "duration"


@pytest.mark.parametrize(
    ("config", "zone", "expected"),
    [
        ("2027-01-01T09:00:00Z", "UTC", datetime(2027, 1, 1, 9, tzinfo=UTC)),
        ("2027-01-01T09:00+02:00", "America/New_York", datetime(2027, 1, 1, 7, tzinfo=UTC)),
        ("2027-01-01T09:00", "Europe/Berlin", datetime(2027, 1, 1, 8, tzinfo=UTC)),
        ("2027-03-28T02:30", "Europe/Berlin", datetime(2027, 3, 28, 1, tzinfo=UTC)),
        ("2027-10-31T02:30", "Europe/Berlin", datetime(2027, 10, 31, 0, 30, tzinfo=UTC)),
    ],
)
def test_at_fires_once(config, zone, expected):
    assert list(at.problems(config, zone)) == []
    assert at.next_fire_at(config, zone, NOON) == expected
    assert at.next_fire_at(config, zone, expected) is None


@pytest.mark.parametrize("config", ["tomorrow", "", "2027-02-30", "0001-01-01", "9999-12-31"])
def test_at_refuses_what_is_no_time(config):
    (problem,) = at.problems(config, "UTC")
    assert problem.code == "time"


def test_at_tells_both_of_two_faults():
    assert {problem.code for problem in at.problems("x", "Mars/Base")} == {"time", "timezone"}
