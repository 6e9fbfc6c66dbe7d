"""Gates that hold many executions back: whom they let in, and what it costs to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from codex32_plans import rows_read, spoken

from codex32.engine.records import gates
from codex32.kernel.database import Door, fetch, is_sqlite
from codex32.kernel.ids import new_id
from codex32.kernel.models import ExecutionRow, database_proxy
from codex32.services.executions import executions
from codex32.services.executions.executions import NewExecution
from codex32.services.upkeep import recovery

MANY = 10_000
#: So many of them are let in: all of the highest priority, and some more.
GONE = 2_200


@pytest.fixture
def behind(now: int) -> Callable[..., NewExecution]:
    def new(**values: Any) -> NewExecution:
        common = {
            "bot_id": "bot_1",
            "bot_name": "ping",
            "version_id": "ver_1",
            "version_number": 1,
            "inputs": "{}",
            "trigger": "{}",
            "trigger_kind": "manual",
            "created_at": now,
            "gate": "busy",
            "gate_limit": 1,
        }
        return NewExecution(**{"id": new_id("exe"), **common, **values})

    return new


@pytest.fixture
def crowd(door: Door, execution: Callable[..., str], now: int) -> list[tuple[int, str]]:
    """Ten thousand behind a gate of one, the one inside first: priority and id of each."""
    made = [(n % 5, f"exe_{n:026}") for n in range(MANY)]
    common = {
        "workspace": "default", "bot_id": "bot_1", "bot_name": "ping", "version_id": "ver_1",
        "version_number": 1, "status": "queued", "inputs": "{}", "trigger": "{}",
        "trigger_kind": "manual", "created_at": now, "gate": "busy", "gate_limit": 1,
    }  # fmt: skip
    rows = [{**common, "id": i, "priority": p, "admitted": False} for p, i in made]
    rows[0]["admitted"] = True

    def write() -> None:
        for start in range(0, MANY, 500):
            ExecutionRow.insert_many(rows[start : start + 500]).execute()

    door.write_now(write)
    door.write_now(lambda: database_proxy.execute_sql("ANALYZE"))
    return made


def inside() -> list[str]:
    rows = ExecutionRow.select().where(ExecutionRow.admitted & ExecutionRow.finished_at.is_null())
    return [row.id for row in rows]


def end(ids: list[str], now: int) -> None:
    done = ExecutionRow.update(status="succeeded", finished_at=now, ready_at=None)
    done.where(ExecutionRow.id.in_(ids)).execute()
    gates.admit("busy", now)


def test_one_that_waits_its_turn_is_not_passed_for_ever(
    door: Door, behind: Callable[..., NewExecution]
) -> None:
    def start(limit: int, **values: Any) -> str:
        new = behind(gate_limit=limit, **values)
        door.write_now(lambda: executions.submit([new]))
        return new.id

    first = start(3)
    in_turn = start(1)
    later, urgent = start(3), start(3, priority=1)
    assert door.read_now(inside) == [first, urgent]
    door.write_now(lambda: end([first, urgent], 1))
    assert door.read_now(inside) == [in_turn, later]


def test_ten_thousand_behind_a_gate_of_one_go_in_one_by_one(
    door: Door, crowd: list[tuple[int, str]], now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def drain() -> None:
        for _ in range(50):
            ((going,),) = fetch(gates._inside("busy").limit(2))
            order.append(going)
            end([going], now)

    # Not in one transaction: what it ended would still stand in PostgreSQL's index.
    said = 0
    for _ in range(GONE // 50):
        said += len(door.write_now(lambda: spoken(monkeypatch, drain)))

    wanted = sorted(crowd[1:], key=lambda each: (-each[0], each[1]))
    goes = [crowd[0][1], *(execution_id for _, execution_id in wanted)]
    assert order == goes[:GONE]
    assert door.read_now(inside) == [goes[GONE]]
    # A look and an end of the test's own, then the lock, the next few, those inside, the turn
    # and the entry.
    assert said <= 7 * GONE


def test_neither_an_end_nor_a_start_nor_a_look_reads_the_crowd(
    door: Door,
    crowd: list[tuple[int, str]],
    behind: Callable[..., NewExecution],
    now: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work() -> None:
        end([crowd[0][1]], now)
        executions.submit([behind(), behind(max_queued=3), behind(when_full="skip")])
        gates.with_room()

    def look() -> list[str]:
        said = spoken(monkeypatch, work)
        about = [(s, p) for s, p in said if "execution" in s and "INSERT" not in s.upper()[:7]]
        assert len(about) >= 6
        if not is_sqlite():
            read = {sql: rows_read(sql, params) for sql, params in about}
            return [f"{count} rows: {sql}" for sql, count in read.items() if count > 20]
        plans = [
            (sql, step[3])
            for sql, params in about
            for step in database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {sql}", params or ())
        ]
        # The one walk that is left is over the gates: it ends at the first of each.
        return [
            f"{step}: {sql}"
            for sql, step in plans
            if ("SCAN e" in step and "execution_held" not in step) or "TEMP B-TREE" in step
        ]

    assert door.write_now(look) == []


def test_only_gates_with_room_for_the_next_are_found(
    door: Door, execution: Callable[..., str], now: int
) -> None:
    def write() -> None:
        for gate, going, limits in (
            ("a-empty", 0, [1]),
            ("b-full", 2, [2, 2]),
            ("c-room", 1, [2, 2]),
            ("d-waits-its-turn", 1, [1, 3]),
            ("e-nobody-waits", 1, []),
            ("f-no-limit-told", 0, [None]),
        ):
            for _ in range(going):
                execution(gate=gate, gate_limit=2)
            execution(gate=gate, gate_limit=2, status="succeeded", finished_at=now)
            for number, limit in enumerate(limits):
                values = {"gate": gate, "gate_limit": limit, "admitted": False}
                execution(id=f"exe_{gate}_{number}", ready_at=None, **values)

    door.write_now(write)

    assert door.read_now(gates.with_room) == ["a-empty", "c-room", "f-no-limit-told"]
    assert door.read_now(recovery.look, now).gates == door.read_now(gates.with_room)


def test_a_gate_that_empties_at_once_fills_at_once(
    door: Door, behind: Callable[..., NewExecution], now: int
) -> None:
    asked = [behind(id=f"exe_{n:03}", gate_limit=40) for n in range(100)]
    door.write_now(lambda: executions.submit(asked))

    door.write_now(lambda: end([each.id for each in asked[:40]], now))

    assert sorted(door.read_now(inside)) == [each.id for each in asked[40:80]]


def test_the_oldest_that_nobody_has_cancelled_makes_room(
    door: Door, behind: Callable[..., NewExecution], now: int
) -> None:
    asked = [behind(id=f"exe_{n}", when_full="cancel_oldest") for n in range(5)]
    told = [door.write_now(lambda new=new: executions.submit([new])[0]) for new in asked]

    rows = door.read_now(lambda: list(ExecutionRow.select().order_by(ExecutionRow.id)))

    assert [row.status for row in rows] == ["cancelled"] * 4 + ["queued"]
    assert not told[-1].held


@pytest.mark.parametrize(("most", "made"), [(0, 1), (1, 2), (3, 4)])
def test_more_than_may_wait_are_not_made(
    door: Door, behind: Callable[..., NewExecution], most: int, made: int
) -> None:
    asked = [behind(max_queued=most) for _ in range(6)]

    told = door.write_now(lambda: executions.submit(asked))

    assert [each.id is not None for each in told] == [True] * made + [False] * (6 - made)
