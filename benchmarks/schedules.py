"""Schedules in great numbers: how late the last of 10,000 fires, and what 100,000 cost at rest."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import peewee as pw

from benchmarks import processes, seeding
from benchmarks.house import House, standing
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32.kernel.database import fetch
from codex32.kernel.models import ExecutionRow, OccurrenceRow, TriggerRow
from codex32.runtime import Runtime

#: A rule that does not come due by itself while it is measured.
_BOT = (
    "triggers: [{cron: '0 0 29 2 *', overlap: allow}]\n"
    "inputs: {who: {type: string, default: you}}\ntype: set\nwith: {values: {}}\n"
)
_AHEAD_SECONDS = 3.0
#: In which a scheduler looks through stored triggers after its start.
_SETTLE_SECONDS = 5.0


def measure(
    servers: Servers, progress: Progress, *, due: int, stored: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """Both figures, by database.

    ``due`` schedules come due at the same moment, ``rounds`` times, while two workers execute
    what they start; ``stored`` ones do not, while the scheduler is watched for some ``seconds``.
    """
    found: dict[str, Any] = {"due": due, "stored": stored}
    for database in ("postgresql", "sqlite"):
        for schedulers in (1, 5):
            late = _fire(servers, database, schedulers, due, rounds)
            found[f"{database}_{schedulers}_schedulers"] = late
            progress.tell(f"{due} schedules on {database}, {schedulers} schedulers: {late}")
    for database in ("postgresql", "sqlite"):
        percent = _rest(servers, database, stored, seconds)
        found[f"{database}_rest_cpu_percent"] = percent
        progress.tell(f"{stored} schedules at rest on {database}: {percent} % of a core")
    return found


def _fire(
    servers: Servers, database: str, schedulers: int, due: int, rounds: int
) -> dict[str, Any]:
    with standing(servers, database, 2) as house:
        seeding.bots(house.runtime, "due", due, _BOT)
        for number in range(schedulers):
            house.launch(f"scheduler {number + 1}", "scheduler")
        house.wait_for("scheduler", schedulers)
        fired = [_round(house, due) for _ in range(rounds)]
    return {
        name: {"median": round(median(each[name] for each in fired), 2),
               "max": round(max(each[name] for each in fired), 2)}
        for name in fired[0]
    }  # fmt: skip


def _round(house: House, due: int) -> dict[str, float]:
    """Let all come due together; how late the last was written, and the last execution ended."""
    runtime = house.runtime
    door, clock = runtime.door, runtime.clock
    before = processes.cpu_seconds(None)
    moment = clock.micros() + int(_AHEAD_SECONDS * 1e6)
    last = door.read_now(_newest)
    door.write_now(lambda: TriggerRow.update(next_at=moment).execute())
    time.sleep(max((moment - clock.micros()) / 1e6, 0.0))
    processes.wait("the triggers", lambda: _answered(runtime, last) == due, house.children)
    fired = clock.micros()
    processes.wait("the executions", lambda: not door.read_now(_open), house.children)
    ended = clock.micros()
    spent = processes.cpu_seconds(None)
    return {
        "last_fired_late_seconds": (fired - moment) / 1e6,
        "last_ended_late_seconds": (ended - moment) / 1e6,
        "scheduler_cpu_ms_each": (spent["scheduler"] - before["scheduler"]) / due * 1e3,
    }


def _newest() -> str:
    return str(OccurrenceRow.select(pw.fn.MAX(OccurrenceRow.id)).scalar() or "")


def _answered(runtime: Runtime, after: str) -> int:
    time.sleep(0.02)
    count = OccurrenceRow.select().where(OccurrenceRow.id > after).count
    return int(runtime.door.read_now(count))


def _open() -> bool:
    query = ExecutionRow.select(pw.SQL("1")).where(ExecutionRow.finished_at.is_null()).limit(1)
    time.sleep(0.02)
    return bool(fetch(query))


def _rest(servers: Servers, database: str, stored: int, seconds: float) -> float:
    with standing(servers, database, 0) as house:
        seeding.bots(house.runtime, "stored", stored, _BOT)
        house.launch("scheduler", "scheduler")
        house.wait_for("scheduler", 1)
        time.sleep(_SETTLE_SECONDS + stored / 4000)
        settled = processes.cpu_seconds(None)["scheduler"]
        time.sleep(seconds)
        spent = processes.cpu_seconds(None)["scheduler"] - settled
    return round(spent / seconds * 100, 2)
