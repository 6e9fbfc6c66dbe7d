"""What starts of one moment ask the database for, and what they never believe."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codex32 import ManualClock
from codex32.engine.records import claims
from codex32.kernel.database import Door
from codex32.kernel.errors import BotDisabled
from codex32.kernel.models import ExecutionRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.written import Stored
from codex32.services.executions import finding
from codex32.services.executions.starting import Start, Starter


@pytest.fixture
def starter(
    door: Door,
    definitions: Definitions,
    payloads: PayloadStore,
    manual_clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Starter:
    # A test on a busy machine takes longer than a moment.
    monkeypatch.setattr(finding, "BELIEVED_SECONDS", 600.0)
    return Starter(door, definitions, payloads, manual_clock)


def start(door: Door, starter: Starter, bot: str, count: int = 1) -> None:
    door.write_now(lambda: starter.start_many([Start(bot) for _ in range(count)]) and None)


@pytest.fixture
def asked(door: Door, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that ask for turns."""
    found: list[str] = []
    execute = type(door.database).execute_sql

    def spied(self, sql: str, *args: object) -> object:
        if "e.turn" in sql:
            found.append(sql)
        return execute(self, sql, *args)

    monkeypatch.setattr(type(door.database), "execute_sql", spied)
    return found


def test_turns_are_asked_for_once_a_moment(
    door: Door, store: Callable[..., Stored], starter: Starter, asked: list[str]
) -> None:
    store("name: one")
    store("name: other")
    for bot in ("one", "one", "other", "one", "other"):
        start(door, starter, bot)
    assert len(asked) == 2


def test_a_bot_that_was_switched_off_this_moment_is_not_started(
    door: Door, store: Callable[..., Stored], starter: Starter
) -> None:
    store("name: one")
    start(door, starter, "one")
    store("name: one\nenabled: false")
    with pytest.raises(BotDisabled):
        starter.start_now(Start("one"))


def test_turns_that_are_believed_are_as_fair(
    door: Door, store: Callable[..., Stored], starter: Starter, manual_clock: ManualClock
) -> None:
    for name in ("one", "other"):
        store(f"name: {name}")
    # Both have been asked for while nothing was queued; then one fills the queue.
    door.write_now(lambda: starter.start_many([Start("one"), Start("other", {"no": 1})]) and None)
    for _ in range(4):
        manual_clock.advance(1)
        start(door, starter, "one", 250)
    start(door, starter, "other", 3)

    def take() -> list[str]:
        return [each.id for each in claims.take("w", 8, manual_clock.micros(), 10**9)]

    claimed = door.write_now(take)
    rows = door.read_now(lambda: list(ExecutionRow.select().where(ExecutionRow.id.in_(claimed))))
    assert [row.bot_name for row in rows].count("other") == 3
