"""Clocks that jump, and the two days a year that have 23 and 25 hours."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from codex32_hands import Hands
from codex32_houses import until
from codex32_violence.arena import CALM, Arena

pytestmark = pytest.mark.fault

#: What waits for a time is not here: it waits for that time, wherever the clock goes.
LOAD = ["line", "send", "keyed", "each", "each-once", "program", "parent", "count"]
DAY = """\
triggers:
  - {cron: "30 2 * * *", timezone: Europe/Berlin, overlap: allow}
  - {cron: "*/30 * * * *", timezone: Europe/Berlin, overlap: allow}
type: set
"""


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    return Hands(tmp_path / "hands")


@pytest.mark.parametrize("arena", ["postgresql"], indirect=True)
def test_one_machine_whose_clock_is_an_hour_wrong_and_jumps(arena: Arena, hands: Hands) -> None:
    arena.house.environment |= CALM
    arena.open(workers=1)
    hands.set(3600)
    shift = str(hands.path)
    arena.house.employ("worker", 2, CODEX32_CLOCK_SHIFT=shift)
    arena.house.employ("scheduler", 2, CODEX32_CLOCK_SHIFT=shift)
    arena.add("tick")
    arena.load.start([*LOAD, "waits", "flaky"], per_second=15, seed=9)
    for seconds in (3600, -3600, 7200, 0):
        hands.set(seconds)
        time.sleep(3)
    arena.load.stop()

    books = arena.close_books()

    books.check()
    # The other machine's clock, and the database's, are what counts: nobody noticed.
    assert books.counts["lost attempts"] == books.counts["doubts"] == 0


@pytest.mark.parametrize("arena", ["sqlite"], indirect=True)
def test_the_one_clock_of_a_machine_jumps_forth_and_back(arena: Arena, hands: Hands) -> None:
    arena.house.environment |= CALM | {"CODEX32_CLOCK_SHIFT": str(hands.path)}
    arena.open()
    arena.load.start(LOAD, per_second=15, seed=10)
    for seconds in (3600, 0, -3600, 0):
        time.sleep(3)
        hands.set(seconds)
    time.sleep(3)
    arena.load.stop()

    books = arena.close_books()

    books.check()
    assert books.counts["acknowledged"] > 100
    assert books.counts["lost attempts"] == books.counts["doubts"] == 0


@pytest.mark.parametrize("arena", ["sqlite"], indirect=True)
def test_real_schedulers_over_both_days_on_which_the_clocks_are_changed(
    arena: Arena, hands: Hands
) -> None:
    arena.house.environment["CODEX32_CLOCK_SHIFT"] = str(hands.path)
    arena.house.environment["CODEX32_SCHEDULER__MISSED_AFTER_SECONDS"] = "7200"
    spring = datetime(2027, 3, 27, 23, 10, tzinfo=UTC)
    autumn = datetime(2027, 10, 30, 22, 10, tzinfo=UTC)
    hands.put_to(spring)
    arena.open(schedulers=2, workers=1, only=())
    for name, start in (("spring", spring), ("autumn", autumn)):
        hands.put_to(start)
        arena.house.write(name, DAY)
        arena.await_bots(name)
        for step in range(1, 15):  # twenty minutes at a time
            hands.put_to(start + timedelta(minutes=20 * step))
            time.sleep(0.6)
        until_micros = (start + timedelta(minutes=250)).timestamp() * 1e6
        until(lambda n=name, u=until_micros: _last(arena, n) >= u, f"{name} is over")  # type: ignore[misc]
        rows = _occurrences(arena, name)
        assert {decision for *_, decision in rows} == {"fired"}
        daily = [at for text, at, _ in rows if "30 2 * * *" in text]
        half_hours = [at for text, at, _ in rows if "*/30" in text]
        # A day of 23 hours: 2:30 is not there, and is answered at once after the gap. A day of
        # 25 hours: it comes twice and is answered once.
        wanted = {"spring": "2027-03-28T01:00", "autumn": "2027-10-31T00:30"}[name]
        assert [f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%dT%H:%M}" for at in daily] == [
            wanted
        ]
        assert {after - before for before, after in pairwise(half_hours)} == {1800 * 10**6}
        (arena.house.bots / f"{name}.yaml").unlink()


def _occurrences(arena: Arena, bot: str) -> list[tuple[str, int, str]]:
    return arena.rows.ask(
        "SELECT t.definition, o.scheduled_at, o.decision FROM occurrence o "
        "JOIN trigger t ON t.id = o.trigger_id JOIN bot b ON b.id = o.bot_id "
        f"WHERE b.name = '{bot}' ORDER BY o.scheduled_at"
    )


def _last(arena: Arena, bot: str) -> int:
    return max((at for _, at, _ in _occurrences(arena, bot)), default=0)
