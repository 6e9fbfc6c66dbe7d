"""Turns between bots: who is claimed next when many wait."""

from __future__ import annotations

from collections import Counter

import pytest

from codex32.engine.records import claims, gates, waking
from codex32.kernel.batches import Insert
from codex32.kernel.models import ExecutionRow
from codex32.services.executions import executions
from codex32.services.executions.executions import NewExecution

_INSERT = 500


def _new(bot: str, number: int, at: int = 1, **values) -> NewExecution:
    return NewExecution(
        id=f"exe_{bot}{number:06}",
        bot_id=bot,
        bot_name=bot,
        version_id="v",
        version_number=1,
        inputs="{}",
        trigger="{}",
        trigger_kind="manual",
        created_at=at,
        **values,
    )


class Queue:
    """Executions that are queued and claimed, with nothing that runs them."""

    def __init__(self, door) -> None:
        self._door = door

    def submit(self, bot: str, count: int, *, at: int = 1, first: int = 0, **values) -> None:
        made = [_new(bot, n, at, **values) for n in range(first, first + count)]
        for begin in range(0, count, _INSERT):
            part = made[begin : begin + _INSERT]
            self._door.write_now(lambda part=part: executions.submit(part))

    def take(self, limit: int, **options) -> list[str]:
        taken = self._door.write_now(lambda: claims.take("w", limit, 100, 1000, **options))
        return [claim.bot_id for claim in taken]


@pytest.fixture
def waiting(open_door) -> Queue:
    return Queue(open_door())


def test_a_bot_that_comes_late_does_not_stand_behind_ten_thousand(waiting: Queue) -> None:
    waiting.submit("a", 10_000)
    assert waiting.take(64) == ["a"] * 64
    waiting.submit("b", 1, at=2)
    assert "b" in waiting.take(4)


def test_two_backlogs_are_worked_off_side_by_side(waiting: Queue) -> None:
    waiting.submit("a", 600)
    waiting.take(100)
    waiting.submit("b", 300, at=2)
    taken = Counter(waiting.take(200))
    assert abs(taken["a"] - taken["b"]) <= 2


def test_a_bots_own_executions_keep_their_order(waiting: Queue) -> None:
    for number in range(5):
        waiting.submit("a", 1, at=5 - number, first=number)
    door = waiting._door
    taken = [door.write_now(lambda: claims.take("w", 1, 100, 1000))[0].id for _ in range(5)]
    assert taken == [f"exe_a{n:06}" for n in range(5)]


def test_a_higher_priority_comes_before_any_turn(waiting: Queue) -> None:
    waiting.submit("a", 50)
    waiting.submit("b", 50, priority=5)
    assert waiting.take(60) == ["b"] * 50 + ["a"] * 10


def test_a_low_priority_is_shared_as_fairly_beside_a_busy_high_one(waiting: Queue) -> None:
    waiting.submit("low", 1000, at=1)
    waiting.submit("high", 5, at=2, priority=1)
    waiting.take(10)
    waiting.submit("high", 5, at=3, priority=1, first=5)
    waiting.submit("other", 2, at=3)
    assert Counter(waiting.take(9)) == {"high": 5, "low": 2, "other": 2}


def test_turns_never_go_back_when_the_queue_was_empty(waiting: Queue) -> None:
    waiting.submit("a", 30, at=1_000)
    waiting.take(30)
    waiting.submit("b", 1, at=2_000)
    turns = [row.turn for row in waiting._door.read_now(lambda: list(ExecutionRow.select()))]
    assert max(turns) == 2_001


def test_thousands_that_wake_at_once_take_turns_too(waiting: Queue) -> None:
    door = waiting._door
    waiting.submit("a", 1200)
    door.write_now(
        lambda: ExecutionRow.update(status="waiting", ready_at=50).execute(),
    )
    waiting.submit("b", 1, at=40)
    woken = [door.write_now(lambda: claims.wake(60)) for _ in range(4)]
    assert woken == [500, 500, 200, 0]
    assert "b" in waiting.take(4)


def test_what_comes_back_after_a_while_does_not_put_time_back(waiting: Queue) -> None:
    door = waiting._door
    waiting.submit("old", 1)
    door.write_now(lambda: ExecutionRow.update(status="waiting").execute())
    waiting.submit("b", 100, at=5_000_000)
    assert door.write_now(lambda: waking.wake(["exe_old000000"], 6_000_000)) == 1
    waiting.submit("c", 100, at=6_000_000)
    taken = Counter(waiting.take(41))
    assert taken["old"] == 1
    assert abs(taken["b"] - taken["c"]) <= 1


def test_what_a_gate_lets_in_late_does_not_put_time_back(waiting: Queue) -> None:
    waiting.submit("old", 2, gate="g", gate_limit=1)
    assert waiting.take(5) == ["old"]
    waiting.submit("b", 100, at=5_000_000)

    def end() -> None:
        first = ExecutionRow.id == "exe_old000000"
        ExecutionRow.update(status="succeeded", finished_at=9).where(first).execute()
        gates.admit("g", 6_000_000)

    waiting._door.write_now(end)
    waiting.submit("c", 100, at=6_000_000)
    taken = Counter(waiting.take(41))
    assert taken["old"] == 1
    assert abs(taken["b"] - taken["c"]) <= 1


def test_thousands_woken_by_one_event_leave_others_their_turns(waiting: Queue) -> None:
    door = waiting._door
    waiting.submit("a", 1000)
    door.write_now(lambda: ExecutionRow.update(status="waiting").execute())
    waiting.submit("b", 1, at=40)
    ids = [f"exe_a{n:06}" for n in range(1000)]
    assert door.write_now(lambda: waking.wake(ids, 60)) == 1000
    assert "b" in waiting.take(4)


def test_what_goes_on_comes_to_the_head_of_its_bots(waiting: Queue) -> None:
    door = waiting._door
    waiting.submit("a", 500)
    (claim,) = door.write_now(lambda: claims.take("w", 1, 100, 1000))
    this = ExecutionRow.id == claim.id
    door.write_now(lambda: ExecutionRow.update(status="waiting").where(this).execute())
    door.write_now(lambda: waking.wake([claim.id], 200))
    again = door.write_now(lambda: claims.take("w", 2, 300, 1000))
    assert claim.id in [each.id for each in again]


def test_a_bot_that_has_its_share_is_passed_over(waiting: Queue) -> None:
    waiting.submit("a", 100)
    waiting.submit("b", 3, at=2)
    assert waiting.take(50, but=["a"]) == ["b"] * 3
    assert waiting.take(50, but=["a"]) == []


async def test_one_bot_leaves_a_quarter_of_a_worker_to_others(engine) -> None:
    names = [
        await engine.add(f"name: {name}\ntype: scripted\nwith: {{do: wait}}\n")
        for name in ("many", "few")
    ]
    for _ in range(40):
        await engine.start(names[0])
    host = await engine.host(concurrency=16)
    mine = await engine.door.write(lambda: host.take(16))
    host.hold(mine)
    assert len(mine) == 12
    nothing = await engine.door.write(lambda: host.take(4))
    assert (nothing, host.crowded, host.more) == ([], True, False)
    await engine.start(names[1])
    (other,) = await engine.door.write(lambda: host.take(4))
    assert other.bot_name == "few"


async def test_a_worker_with_few_places_keeps_none_back(engine) -> None:
    name = await engine.add("name: many\ntype: scripted\nwith: {do: wait}\n")
    for _ in range(5):
        await engine.start(name)
    host = await engine.host(concurrency=3)
    assert len(await engine.door.write(lambda: host.take(3))) == 3


def test_the_longest_of_queues_is_asked_by_index(open_door) -> None:
    door = open_door()
    columns = ("id", "workspace", "bot_id", "bot_name", "version_id", "version_number", "status")
    columns += ("message", "inputs", "trigger", "trigger_kind", "created_at", "ready_at", "turn")
    insert = Insert(ExecutionRow, columns)
    rows = [
        (f"e{n:06}", "w", f"b{n % 7}", "b", "v", 1, "queued", "", "", "", "manual", 1, 1, n)
        for n in range(5000)
    ]
    door.write_now(lambda: insert.write(rows))
    plans = door.read_now(_plans)
    assert "execution_turn" in plans
    assert "execution_ready" in plans
    assert "SCAN e\n" not in plans


def _plans() -> str:
    from codex32.engine.records import turns
    from codex32.kernel.database import database_proxy, is_sqlite

    if is_sqlite():
        explain = f"EXPLAIN QUERY PLAN {turns._SQLITE}"
        rows = database_proxy.execute_sql(explain, ("[0]", '[["b1", 0]]')).fetchall()
        return "\n".join(row[3] for row in rows)
    database_proxy.execute_sql("ANALYZE execution")
    explain = f"EXPLAIN {turns._POSTGRESQL}"
    rows = database_proxy.execute_sql(explain, ([0], ["b1"], [0])).fetchall()
    return "\n".join(row[0] for row in rows)
