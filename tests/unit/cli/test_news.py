from __future__ import annotations

from typing import Any

import pytest

from codex32.cli.news import News
from codex32.kernel.database import Door
from codex32.kernel.models import BotRow, ExecutionRow

BEGIN = 1_000_000_000


def bot(name: str, **changes: Any) -> None:
    values = {"workspace": "default", "origin": "file", "created_at": 1, "updated_at": 1}
    BotRow.insert(id=f"bot_{name}", name=name, **(values | changes)).execute()


def execution(number: int, finished_at: int, status: str = "succeeded") -> None:
    ExecutionRow.insert(
        id=f"exe_{number:04}", workspace="default", bot_id="b", bot_name="hello",
        version_id="v", version_number=1, status=status, inputs="{}", trigger="{}",
        trigger_kind="cron", created_at=1, started_at=finished_at - 12_000,
        finished_at=finished_at,
    ).execute()  # fmt: skip


@pytest.fixture
def news(door: Door) -> News:
    return News(BEGIN)


def look(door: Door, news: News) -> list[str]:
    return [item.text for item in door.read_now(news.look)]


def test_an_end_is_told_once_in_one_line(door: Door, news: News) -> None:
    door.write_now(lambda: execution(1, BEGIN + 5))
    assert look(door, news) == ["✓ hello succeeded in 12ms  (cron)"]
    assert look(door, news) == []


def test_what_ended_before_is_no_news(door: Door, news: News) -> None:
    door.write_now(lambda: execution(1, BEGIN - 5))
    assert look(door, news) == []


def test_an_end_that_is_committed_late_is_told(door: Door, news: News) -> None:
    door.write_now(lambda: execution(1, BEGIN + 2_000_000))
    assert len(look(door, news)) == 1
    door.write_now(lambda: execution(2, BEGIN + 1_000_000, "failed"))
    assert look(door, news) == ["✗ hello failed in 12ms  (cron)"]


def test_many_ends_are_a_number_and_failures_are_still_named(door: Door, news: News) -> None:
    def write() -> None:
        for number in range(100):
            execution(number, BEGIN + number + 1, "failed" if number == 7 else "succeeded")

    door.write_now(write)
    assert look(door, news) == ["100 executions ended", "✗ hello failed in 12ms  (cron)"]


def test_bots_are_told_when_they_come_change_and_go(door: Door, news: News) -> None:
    door.write_now(lambda: bot("a"))
    assert look(door, news) == ["+ a  version none"]
    door.write_now(lambda: BotRow.update(paused=True).execute())
    assert look(door, news) == ["= a  paused"]
    door.write_now(lambda: BotRow.update(problems='[{"message": "x"}]').execute())
    assert look(door, news) == ["! a  broken"]
    door.write_now(lambda: BotRow.update(removed_at=5).execute())
    assert look(door, news) == ["- a  removed"]
    assert look(door, news) == []


def test_many_bots_are_a_number(door: Door, news: News) -> None:
    def write() -> None:
        for number in range(50):
            bot(f"b{number}", problems="[]" if number == 3 else None)

    door.write_now(write)
    assert look(door, news) == ["50 bots found, 1 broken", "! b3  broken"]
