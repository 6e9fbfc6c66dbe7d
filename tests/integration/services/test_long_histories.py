"""What is looked at again and again is found by an index, however many executions have ended."""

import logging
import re
from collections.abc import Callable

import pytest

from codex32.engine.records import gathered
from codex32.kernel.database import Door, is_sqlite
from codex32.kernel.models import database_proxy
from codex32.services.alerts import watching
from codex32.services.bots.written import Stored
from codex32.services.metering import looking
from codex32.services.triggers.why import why
from codex32.services.upkeep import recovery

#: Indexes that hold live executions, or those that wait for a person, alone.
_FEW = "execution_(waking|leased|live|ready|turn|inside|held|dead_letter|paused)"

ALERTS = """
  {name: a, failure_rate: 0.5}, {name: b, no_success_for: 1h}, {name: c, queued_for: 1h}"""

Look = Callable[[int], object]


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda now: why("ping"), id="why"),
        pytest.param(looking.looked_up, id="gauges"),
        pytest.param(recovery.look, id="recovery"),
        pytest.param(watching.look, id="alerts"),
    ],
)
def test_no_look_reads_the_whole_history(
    door: Door,
    store: Callable[..., Stored],
    now: int,
    look: Look,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store(f"triggers: [{{every: 1h}}]\nalerts: [{ALERTS}]")
    with caplog.at_level(logging.DEBUG, logger="peewee"):
        door.read_now(look, now)
    asked = [record.msg for record in caplog.records if record.name == "peewee"]
    looks = [(sql, params) for sql, params in asked if '"execution"' in sql]
    assert looks

    for sql, params in looks:
        plan = door.write_now(lambda sql=sql, params=params: _plan(sql, params))  # type: ignore[misc]
        for alias in re.findall(r'"execution" AS "(\w+)"', sql):
            assert not re.search(rf"SCAN {alias}\b(?! USING .*{_FEW})", plan), f"{sql}\n{plan}"
        assert "Seq Scan on execution" not in plan, f"{sql}\n{plan}"
        # Ids in their order until one fits, which may be the last of all.
        assert not re.search(r"sqlite_autoindex_execution_1(?! \(id=)", plan), f"{sql}\n{plan}"


def test_handing_out_what_was_gathered_reads_what_is_not_handed_out_yet(
    door: Door, now: int, caplog: pytest.LogCaptureFixture
) -> None:
    share = gathered.Share("exe_1", "all", -1, "exe_1", "default", "key:ops", [1], now)
    with caplog.at_level(logging.DEBUG, logger="peewee"):
        assert door.write_now(lambda: gathered.bring(share, now)) == (now, [])  # nobody waits
    asked = [record.msg for record in caplog.records if record.name == "peewee"]
    looks = [each for each in asked if '"taken_by"' in each[0].partition(" WHERE ")[2]]
    assert len(looks) == 3  # when others are due, who takes, what is theirs

    for sql, params in looks:
        plan = door.write_now(lambda sql=sql, params=params: _plan(sql, params))  # type: ignore[misc]
        assert "SCAN " not in plan, f"{sql}\n{plan}"
        assert "Seq Scan" not in plan, f"{sql}\n{plan}"
        if is_sqlite():
            assert "key_taken_by_due_at (workspace=? AND key=? AND taken_by=?" in plan, plan


def _plan(sql: str, params: list[object]) -> str:
    if is_sqlite():
        rows = database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()
    else:
        database_proxy.execute_sql("SET LOCAL enable_seqscan = off")  # the table is all but empty
        rows = database_proxy.execute_sql(f"EXPLAIN {sql}", params).fetchall()
    return "\n".join(str(row) for row in rows)
