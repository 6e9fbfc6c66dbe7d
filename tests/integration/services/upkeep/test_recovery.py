import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from codex32 import AttemptFinished, ExecutionFinished
from codex32.kernel.database import Door, database_proxy, is_sqlite
from codex32.kernel.json_values import dumps, loads
from codex32.kernel.models import AttemptRow, ExecutionRow, StepRow, VersionRow
from codex32.services.upkeep import recovery

SECOND = 1_000_000


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def door(open_door: Callable[..., Door], told: list[Any]) -> Door:
    return open_door(on_commit=told.extend)


@pytest.fixture
def running(door: Door, execution: Callable[..., str], now: int) -> Callable[..., str]:
    def write(**values: Any) -> str:
        row = {
            "status": "running",
            "attempt": 1,
            "worker": "w1",
            "lease_at": now - SECOND,
            "attempt_at": now - 11 * SECOND,
            "started_at": now - 11 * SECOND,
            **values,
        }
        return door.write_now(lambda: execution(**row))

    return write


def recover(door: Door, now: int, **limits: int) -> recovery.Mended:
    return asyncio.run(recovery.recover(door, now, **limits))


def get(door: Door, execution_id: str) -> ExecutionRow:
    return door.read_now(lambda: ExecutionRow.get_by_id(execution_id))


def lost_attempts(door: Door, execution_id: str, ended: list[int]) -> None:
    rows = [
        {
            "execution_id": execution_id,
            "number": number,
            "worker": "w0",
            "started_at": at - SECOND,
            "ended_at": at,
            "outcome": "lost",
        }
        for number, at in enumerate(ended)
    ]
    door.write_now(lambda: AttemptRow.insert_many(rows).execute())


def test_an_execution_of_a_dead_worker_goes_on_elsewhere(
    door: Door, running: Callable[..., str], told: list[Any], now: int
) -> None:
    lost, held = running(), running(lease_at=now + SECOND)

    mended = recover(door, now)

    row = get(door, lost)
    assert (mended.requeued, mended.failed) == (1, 0)
    assert (row.status, row.ready_at, row.lease_at) == ("queued", now, None)
    assert row.active_micros == 10 * SECOND
    assert get(door, held).status == "running"
    (attempt,) = door.read_now(lambda: list(AttemptRow.select()))
    assert (attempt.execution_id, attempt.number, attempt.outcome) == (lost, 1, "lost")
    door.close()
    assert [n.outcome for n in told if isinstance(n, AttemptFinished)] == ["lost"]
    assert lost in told


def test_an_execution_that_kills_its_workers_fails_with_cause_lost(
    door: Door, running: Callable[..., str], execution: Callable[..., str], now: int, told: Any
) -> None:
    parent = door.write_now(lambda: execution(status="waiting", attempt_at=now))
    bad = running(attempt=5, parent_id=parent, gate="g", gate_limit=1)
    held = door.write_now(lambda: execution(gate="g", gate_limit=1, admitted=False, ready_at=None))
    lost_attempts(door, bad, [now - k * SECOND for k in (20, 30, 40, 50)])

    mended = recover(door, now, max_deaths=5)

    row = get(door, bad)
    assert (mended.requeued, mended.failed) == (0, 1)
    assert (row.status, row.cause, row.finished_at) == ("failed", "lost", now)
    assert "5 workers died" in row.message
    assert get(door, parent).status == "queued"
    assert get(door, held).admitted
    door.close()
    assert [n.cause for n in told if isinstance(n, ExecutionFinished)] == ["lost"]


def test_deaths_before_the_last_finished_step_are_forgiven(
    door: Door, running: Callable[..., str], now: int
) -> None:
    one = running(attempt=6)
    lost_attempts(door, one, [now - k * SECOND for k in (20, 30, 40, 50, 60)])
    door.write_now(
        lambda: StepRow.insert(
            execution_id=one, step="a", status="succeeded", finished_at=now - 35 * SECOND
        ).execute()
    )

    recover(door, now, max_deaths=4)

    assert get(door, one).status == "queued"


def test_a_bot_with_on_failure_still_says_its_last_words_but_not_for_ever(
    door: Door, running: Callable[..., str], told: list[Any], now: int
) -> None:
    document = dumps({"type": "python", "on_failure": [{"id": "tell", "type": "notify"}]})
    door.write_now(
        lambda: VersionRow.insert(
            id="ver_1", bot_id="bot_1", number=1, digest="", document=document, text="",
            origin="api", created_at=now,
        ).execute()
    )  # fmt: skip
    one = running(attempt=1)
    door.write_now(
        lambda: StepRow.insert(execution_id=one, step="eat", status="running").execute()
    )

    recover(door, now, max_deaths=1)

    row = get(door, one)
    assert row.status == "queued"
    closing = loads(row.closing)
    assert (closing["status"], closing["cause"], closing["step"]) == ("failed", "lost", "eat")

    again = {"status": "running", "attempt": 2, "lease_at": now, "attempt_at": now}
    door.write_now(lambda: ExecutionRow.update(**again).execute())
    recover(door, now + 1, max_deaths=1)

    row = get(door, one)
    assert (row.status, row.cause) == ("failed", "lost")
    assert "in step eat" in row.message
    door.close()
    assert [n.bot_type for n in told if isinstance(n, ExecutionFinished)] == ["python"]


def test_what_was_going_to_be_cancelled_is_cancelled_even_if_its_worker_dies(
    door: Door, running: Callable[..., str], now: int
) -> None:
    one = running(closing=dumps({"status": "cancelled", "message": "stop"}))

    recover(door, now, max_deaths=1)

    row = get(door, one)
    assert (row.status, row.cause, row.message) == ("cancelled", None, "stop")


def test_a_waiting_execution_wakes_when_its_time_has_come(
    door: Door, execution: Callable[..., str], now: int, told: list[Any]
) -> None:
    due = door.write_now(lambda: execution(status="waiting", ready_at=now))
    later = door.write_now(lambda: execution(status="waiting", ready_at=now + 1))

    mended = recover(door, now)

    assert mended.woken == 1
    assert (get(door, due).status, get(door, later).status) == ("queued", "waiting")
    door.close()
    assert due in told


def test_a_gate_that_was_left_shut_is_opened(
    door: Door, execution: Callable[..., str], now: int
) -> None:
    def held(gate: str) -> str:
        return door.write_now(
            lambda: execution(gate=gate, gate_limit=2, admitted=False, ready_at=None)
        )

    def inside(gate: str) -> str:
        return door.write_now(lambda: execution(gate=gate, gate_limit=2, ready_at=now))

    inside("free")
    inside("full")
    inside("full")
    first, second, third = held("free"), held("free"), held("full")

    recover(door, now)

    admitted = [get(door, each).admitted for each in (*sorted([first, second]), third)]
    assert admitted == [True, False, False]


def test_a_parent_wakes_that_missed_the_end_of_its_child(
    door: Door, execution: Callable[..., str], now: int
) -> None:
    def family(status: str) -> str:
        parent = execution(status="waiting", attempt_at=now)
        child = execution(status="succeeded", parent_id=parent, finished_at=now - SECOND)
        note = dumps({"wait": {"token": child}})
        StepRow.create(execution_id=parent, step="sub", item=-1, status=status, tries=1, note=note)
        return parent

    missed = door.write_now(lambda: family("waiting"))
    knows = door.write_now(lambda: family("succeeded"))

    mended = recover(door, now)

    assert mended.woken == 1
    assert (get(door, missed).status, get(door, knows).status) == ("queued", "waiting")


def test_a_bell_that_nobody_heard_is_rung_again(
    door: Door, execution: Callable[..., str], now: int, told: list[Any]
) -> None:
    old = door.write_now(lambda: execution(ready_at=now - 3 * SECOND))
    door.write_now(lambda: execution(ready_at=now - SECOND))

    mended = recover(door, now)

    assert mended.rung == 1
    door.close()
    assert told == [old]


def test_a_healthy_house_is_not_written_to(
    door: Door, running: Callable[..., str], execution: Callable[..., str], now: int
) -> None:
    running(lease_at=now + SECOND)
    door.write_now(lambda: execution(status="waiting"))
    door.write_now(lambda: execution(status="succeeded", finished_at=now))
    before = door.commits

    assert recover(door, now) == recovery.Mended()
    assert door.commits == before


def test_two_processes_at_once_lose_an_execution_only_once(
    door: Door, running: Callable[..., str], at_once: Callable[..., list[Any]], now: int
) -> None:
    ids = [running() for _ in range(40)]
    found = door.read_now(recovery.look, now)

    results = at_once(4, lambda: recovery.mend(found, now, 5))

    assert sum(result.requeued for result in results) == len(ids)


def test_no_question_of_a_round_reads_history(
    door: Door, execution: Callable[..., str], now: int
) -> None:
    """The planner is shown a history, so that a scan of it would cost."""
    rows = [
        {
            "id": f"exe_{n:026}",
            "workspace": "default",
            "bot_id": "bot_1",
            "bot_name": "ping",
            "version_id": "ver_1",
            "version_number": 1,
            "status": "succeeded",
            "inputs": "{}",
            "trigger": "{}",
            "trigger_kind": "manual",
            "created_at": now - n,
            "finished_at": now - n,
        }
        for n in range(5000)
    ]
    for start in range(0, len(rows), 500):
        door.write_now(
            lambda start=start: ExecutionRow.insert_many(rows[start : start + 500]).execute()
        )
    steps = [
        {"execution_id": row["id"], "step": "s", "status": "succeeded", "tries": 1} for row in rows
    ]
    for start in range(0, len(steps), 500):
        door.write_now(
            lambda start=start: StepRow.insert_many(steps[start : start + 500]).execute()
        )
    door.write_now(lambda: execution(status="waiting", attempt_at=now))
    door.write_now(lambda: database_proxy.execute_sql("ANALYZE"))

    def plans() -> list[str]:
        out = []
        for query in (
            recovery._lapsed(now),
            recovery._due(now),
            recovery._parents_of_ended(),
            recovery._unheard(now),
        ):
            sql, params = query.sql()
            word = "EXPLAIN QUERY PLAN" if is_sqlite() else "EXPLAIN"
            out.append(str(database_proxy.execute_sql(f"{word} {sql}", params).fetchall()))
        return out

    live = "execution_leased execution_waking execution_parent execution_ready"
    for plan in door.read_now(plans):
        assert "Seq Scan" not in plan, plan
        for line in plan.split("SCAN ")[1:]:
            assert any(f"INDEX {name}" in line for name in live.split()), plan
