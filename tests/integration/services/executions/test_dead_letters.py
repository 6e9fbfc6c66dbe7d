from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from codex32.kernel.caller import Caller
from codex32.kernel.database import Door, is_sqlite
from codex32.kernel.errors import ExecutionNotFound, InvalidTransition
from codex32.kernel.ids import new_id
from codex32.kernel.models import ExecutionRow, database_proxy
from codex32.services.executions import dead_letters
from codex32.services.executions.dead_letters import Query

ADA, BOB = (Caller("user", name, name) for name in ("ada", "bob"))


@pytest.fixture
def failed(door: Door, execution: Callable[..., str], now: int) -> Callable[..., str]:
    def make(**values: object) -> str:
        given = {"status": "failed", "cause": "error", "finished_at": now, **values}
        return door.write_now(lambda: execution(**given))

    return make


def listed(door: Door, **query: object) -> list[str]:
    return [row.id for row in door.read_now(dead_letters.listing, Query(**query))]  # type: ignore[arg-type]


def test_only_failures_are_listed_newest_first(door: Door, failed: Callable[..., str]) -> None:
    ids = [failed(id=new_id("exe", now=lambda n=n: 1000.0 + n)) for n in range(3)]
    for other in ("succeeded", "cancelled", "skipped"):
        failed(status=other, cause=None)
    failed(status="running", cause=None, finished_at=None)
    assert listed(door) == ids[::-1]
    assert listed(door, limit=1, before=ids[1]) == [ids[0]]
    assert door.read_now(dead_letters.count, Query()) == 3


def test_they_are_filtered(door: Door, failed: Callable[..., str], now: int) -> None:
    one = failed(bot_name="a", cause="timeout", finished_at=now - 10)
    two = failed(bot_name="b", cause="error")
    assert listed(door, bot="a") == listed(door, cause="timeout") == [one]
    assert listed(door, since=now) == [two]


def test_one_that_is_dismissed_leaves_with_a_note_and_its_children(
    door: Door, failed: Callable[..., str], now: int
) -> None:
    parent = failed()
    child = failed(parent_id=parent, idempotency_key=f"bot_1:child:{parent}:ask:-1")
    failed(parent_id=child, idempotency_key=f"bot_1:child:{child}:ask:-1")
    other = failed()
    row = door.write_now(lambda: dead_letters.dismiss(parent, ADA, "a test", now))
    told = {"as": "dismissed", "at": now, "by": "ada", "note": "a test"}
    assert (row.status, json.loads(row.settled)) == ("failed", told)
    assert listed(door) == [other]


def test_who_looked_after_it_first_stays(door: Door, failed: Callable[..., str], now: int) -> None:
    one = failed()
    door.write_now(lambda: dead_letters.dismiss(one, ADA, "first", now))
    row = door.write_now(lambda: dead_letters.dismiss(one, BOB, "second", now))
    assert json.loads(row.settled)["by"] == "ada"


def test_only_what_failed_is_dismissed(door: Door, failed: Callable[..., str], now: int) -> None:
    done = failed(status="succeeded", cause=None)
    with pytest.raises(InvalidTransition):
        door.write_now(lambda: dead_letters.dismiss(done, ADA, "", now))
    with pytest.raises(ExecutionNotFound):
        door.write_now(lambda: dead_letters.dismiss("exe_none", ADA, "", now))


def test_the_list_is_answered_by_its_index_alone(door: Door, failed: Callable[..., str]) -> None:
    """However much history there is: no row is read that is not listed."""
    for n in range(300):
        failed(status="succeeded", cause=None, id=new_id("exe", now=lambda n=n: 2000.0 + n))
    failed()

    def plan() -> str:
        if not is_sqlite():
            database_proxy.execute_sql("ANALYZE execution")
        sql, params = (
            ExecutionRow.select()
            .where(dead_letters.OPEN & (ExecutionRow.workspace == "default"))
            .order_by(ExecutionRow.id.desc())
            .limit(20)
            .sql()
        )
        head = "EXPLAIN QUERY PLAN " if is_sqlite() else "EXPLAIN "
        return "\n".join(str(row) for row in database_proxy.execute_sql(head + sql, params))

    told = door.read_now(plan)
    assert "execution_dead_letter" in told
    assert "TEMP B-TREE" not in told
