from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from codex32.builtin.triggers.cron import CronTrigger

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
#: Each zone with the days on which its clocks go forward and back.
CHANGES = [
    (BERLIN, "2026-03-29", "2026-10-25"),
    (NEW_YORK, "2026-03-08", "2026-11-01"),
    (LORD_HOWE, "2026-10-04", "2026-04-05"),
]
CHANGING_DAYS = [(zone, day) for zone, *days in CHANGES for day in days]

cron = CronTrigger()


def fires(config, zone, day, days=1):
    """All moments of some local days, as local texts with offset."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (start + timedelta(days=days)).astimezone(UTC)
    found, after = [], start.astimezone(UTC) - timedelta(microseconds=1)
    while (moment := cron.next_fire_at(config, zone, after)) and moment < end:
        assert moment > after
        found.append(moment.astimezone(ZoneInfo(zone)).strftime("%H:%M%z"))
        after = moment
    return found


@pytest.mark.parametrize(
    ("zone", "day", "config", "expected"),
    [
        (BERLIN, "2026-03-29", "30 2 * * *", ["03:00+0200"]),
        (BERLIN, "2026-03-29", "0,20,40 2 * * *", ["03:00+0200"]),
        (BERLIN, "2026-03-29", "0 3 * * *", ["03:00+0200"]),
        (BERLIN, "2026-10-25", "30 2 * * *", ["02:30+0200"]),
        (NEW_YORK, "2026-03-08", "30 2 * * *", ["03:00-0400"]),
        (NEW_YORK, "2026-11-01", "30 1 * * *", ["01:30-0400"]),
        (LORD_HOWE, "2026-10-04", "15 2 * * *", ["02:30+1100"]),
        (LORD_HOWE, "2026-04-05", "45 1 * * *", ["01:45+1100"]),
    ],
)
def test_a_time_in_a_gap_fires_after_it_and_a_time_that_is_twice_fires_once(
    zone, day, config, expected
):
    assert fires(config, zone, day) == expected


@pytest.mark.parametrize(("zone", "day"), CHANGING_DAYS)
@pytest.mark.parametrize("minutes", [5, 15, 30])
def test_rules_of_minutes_go_on_in_real_time(zone, day, minutes):
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = start + timedelta(days=1)
    moment, expected = start.astimezone(UTC), []
    while moment < end.astimezone(UTC):
        local = moment.astimezone(ZoneInfo(zone))
        if local.minute % minutes == 0:
            expected.append(local.strftime("%H:%M%z"))
        moment += timedelta(minutes=1)
    assert fires(f"*/{minutes} * * * *", zone, day) == expected


@pytest.mark.parametrize(
    ("zone", "day", "count"), [(BERLIN, "2026-03-29", 23), (BERLIN, "2026-10-25", 25)]
)
def test_hourly_rules_fire_each_hour_there_is(zone, day, count):
    assert len(fires("0 * * * *", zone, day)) == count


def test_looking_on_from_the_second_pass_of_an_hour_never_goes_back():
    # 02:10 for the second time; 02:30 has fired an hour ago.
    after = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert cron.next_fire_at("30 2 * * *", BERLIN, after) == datetime(
        2026, 10, 26, 1, 30, tzinfo=UTC
    )


def test_a_leap_day_is_waited_for():
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert cron.next_fire_at("0 0 29 2 *", "UTC", after) == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("@yearly", "2027-01-01T00:00"),
        ("@annually", "2027-01-01T00:00"),
        ("@monthly", "2026-07-01T00:00"),
        ("@weekly", "2026-06-14T00:00"),
        ("@daily", "2026-06-11T00:00"),
        ("@midnight", "2026-06-11T00:00"),
        ("@hourly", "2026-06-10T13:00"),
        ("@Daily", "2026-06-11T00:00"),
    ],
)
def test_names_stand_for_rules(name, expected):
    assert list(cron.problems(name, "UTC")) == []
    after = datetime(2026, 6, 10, 12, 30, tzinfo=UTC)
    moment = cron.next_fire_at(name, "UTC", after)
    assert moment == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_the_same_arguments_give_the_same_answer():
    after = datetime(2026, 6, 10, 12, 30, 15, 250, tzinfo=UTC)
    one, two = (cron.next_fire_at("31 12 * * *", "UTC", after) for _ in range(2))
    assert one == two == datetime(2026, 6, 10, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("0 0 30 2 *", "day-of-month"),
        ("61 * * * *", "minute"),
        ("* * * * mondays", "day-of-week"),
        ("0 0 8 * * 1-5", "6 field(s)"),
        ("0 8", "2 field(s)"),
        ("", "0 field(s)"),
        ("@dayly", "did you mean '@daily'"),
    ],
)
def test_what_cannot_be_read_is_told(config, message):
    (problem,) = cron.problems(config, "UTC")
    assert message in problem.message


def test_six_fields_are_sent_to_every():
    (problem,) = cron.problems("*/10 * * * * *", "UTC")
    assert "`every`" in problem.message


def test_an_unknown_zone_is_told_with_what_may_be_meant():
    (problem,) = cron.problems("0 8 * * *", "Europe/Berln")
    assert "did you mean 'Europe/Berlin'" in problem.message


@pytest.mark.parametrize("zone", ["", "Europe", "../etc/passwd", "/etc/passwd", "CET\0"])
def test_strange_zones_are_problems(zone):
    (problem,) = cron.problems("0 8 * * *", zone)
    assert problem.code == "timezone"
