import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from codex32.kernel.caller import Caller
from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.models import (
    ApprovalRow,
    AttemptRow,
    ExecutionRow,
    LogLineRow,
    OccurrenceRow,
    SeenRow,
    StepRow,
)
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots.written import Stored
from codex32.services.executions import dead_letters
from codex32.services.upkeep import retention
from codex32.services.upkeep.retention import Limits, Pruned

ADA = Caller("user", "ada", "ada")
DAY = 86400 * 1_000_000
LIMITS = Limits(days={"succeeded": 30, "failed": 90, "skipped": None}, keep_last=0)


@pytest.fixture
def prune(door: Door, payloads: PayloadStore, now: int) -> Callable[..., Pruned]:
    return lambda limits=LIMITS: asyncio.run(retention.prune(door, limits, payloads, now))


@pytest.fixture
def ended(
    door: Door, execution: Callable[..., str], payloads: PayloadStore, now: int
) -> Callable[..., str]:
    """An execution that ended some days ago, with all that belongs to it."""

    def make(bot_id: str, status: str, days: float) -> str:
        at = now - int(days * DAY)
        execution_id = new_id("exe", now=lambda: at / 1e6)

        def write() -> str:
            output = payloads.pack(execution_id, "x" * 5000)
            execution(id=execution_id, bot_id=bot_id, status=status, finished_at=at, output=output)
            StepRow.insert(execution_id=execution_id, step="a", status="succeeded").execute()
            AttemptRow.insert(
                execution_id=execution_id, number=1, worker="w", started_at=at, ended_at=at,
                outcome=status,
            ).execute()  # fmt: skip
            LogLineRow.insert(
                execution_id=execution_id, at=at, level="info", message="x"
            ).execute()
            ApprovalRow.insert(
                id=new_id("apr"), workspace="default", execution_id=execution_id, bot_name="ping",
                step="a", status="approved", request="{}", created_at=at,
            ).execute()  # fmt: skip
            return execution_id

        return door.write_now(write)

    return make


def left(door: Door) -> set[str]:
    return door.read_now(lambda: {row.id for row in ExecutionRow.select(ExecutionRow.id)})


def test_what_is_older_than_its_limit_goes_with_all_that_belongs_to_it(
    door: Door,
    store: Callable[..., Stored],
    ended: Callable[..., str],
    prune: Callable[..., Pruned],
    payloads: PayloadStore,
) -> None:
    bot = store("priority: 1").bot_id
    gone = {ended(bot, "succeeded", 31), ended(bot, "failed", 91)}
    kept = {ended(bot, "succeeded", 29), ended(bot, "failed", 89), ended(bot, "skipped", 900)}

    assert prune().executions == 2
    assert left(door) == kept
    for kind in (StepRow, ApprovalRow, AttemptRow, LogLineRow):
        rows = door.read_now(lambda kind=kind: {row.execution_id for row in kind.select()})
        assert rows == kept
    for execution_id in gone | kept:
        assert payloads._folder(execution_id).exists() is (execution_id in kept)
    assert prune() == Pruned()


def test_live_executions_are_never_touched(
    door: Door, store: Callable[..., Stored], execution: Callable[..., str],
    prune: Callable[..., Pruned], now: int,
) -> None:  # fmt: skip
    bot = store("priority: 1").bot_id
    old = new_id("exe", now=lambda: (now - 900 * DAY) / 1e6)
    for status in ("queued", "running", "waiting"):
        door.write_now(
            lambda status=status: execution(
                id=f"{old[:-1]}{status[0]}", bot_id=bot, status=status, created_at=now - 900 * DAY
            )
        )

    prune()

    assert len(left(door)) == 3


def test_the_last_executions_of_each_bot_are_kept_whatever_their_age(
    door: Door, store: Callable[..., Stored], ended: Callable[..., str],
    prune: Callable[..., Pruned],
) -> None:  # fmt: skip
    bot, other = store("name: one").bot_id, store("name: other").bot_id
    ids = [ended(bot, "succeeded", 100 - n) for n in range(5)]
    lonely = ended(other, "succeeded", 500)

    prune(Limits(days={"succeeded": 30}, keep_last=2))

    assert left(door) == {*ids[-2:], lonely}


@pytest.mark.parametrize(
    ("written", "expected"),
    [("1d", 0), ("{failed: 1d}", 1), ("{succeeded: 1000d, failed: 1000d}", 2)],
)
def test_a_bot_may_say_itself_how_long_its_history_is_kept(
    door: Door, store: Callable[..., Stored], ended: Callable[..., str],
    prune: Callable[..., Pruned], written: str, expected: int,
) -> None:  # fmt: skip
    bot = store(f"retention: {written}").bot_id
    ended(bot, "succeeded", 20)
    ended(bot, "failed", 200)

    prune(Limits(days={"succeeded": 30, "failed": 900}, keep_last=0))

    assert len(left(door)) == expected


def test_more_than_a_chunk_goes_too(
    door: Door, store: Callable[..., Stored], ended: Callable[..., str],
    prune: Callable[..., Pruned], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(retention, "CHUNK", 3)
    bot = store("priority: 1").bot_id
    for n in range(10):
        ended(bot, "succeeded", 40 + n)

    assert prune().executions == 10
    assert left(door) == set()


def test_old_answers_of_triggers_and_lapsed_keys_go(
    door: Door, store: Callable[..., Stored], prune: Callable[..., Pruned], now: int
) -> None:
    bot = store("priority: 1").bot_id

    def write() -> None:
        for days in (29, 31):
            at = now - days * DAY
            OccurrenceRow.insert(
                id=new_id("occ"), trigger_id="t", bot_id=bot, key=str(days), scheduled_at=at,
                evaluated_at=at, decision="fired",
            ).execute()  # fmt: skip
        for digest, expires in (("a", now - 1), ("b", now + 1), ("c", None)):
            seen: dict[str, Any] = {"bot_id": bot, "step": "s", "digest": digest, "owner": "x"}
            SeenRow.insert(seen_at=now, expires_at=expires, **seen).execute()

    door.write_now(write)

    assert prune() == Pruned(executions=0, occurrences=1, seen=1)
    assert {r.digest for r in door.read_now(lambda: list(SeenRow.select()))} == {"b", "c"}


def test_dead_letters_stay_until_their_own_limit_and_those_looked_after_do_not(
    door: Door,
    store: Callable[..., Stored],
    ended: Callable[..., str],
    prune: Callable[..., Pruned],
    now: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bot = store("retention: 7d").bot_id
    open_, old = ended(bot, "failed", 60), ended(bot, "failed", 101)
    dismissed = ended(bot, "failed", 8)
    door.write_now(lambda: dead_letters.dismiss(dismissed, ADA, "", now))

    prune(Limits(days={}, keep_last=0, dead_letter_days=100))

    assert left(door) == {open_}
    (line,) = (each for each in caplog.records if "1 dead letters" in each.getMessage())
    assert (line.workspace, line.bot) == ("default", "ping")
    assert "of ping are" in line.getMessage()
    assert old not in left(door)
    prune(Limits(days={}, keep_last=0, dead_letter_days=None))
    assert left(door) == {open_}
