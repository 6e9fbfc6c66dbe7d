"""Schedulers that are dead, killed, or two: every event is answered once."""

from __future__ import annotations

import signal

import pytest
from codex32_houses import ServersHouse, until

from codex32.kernel.statuses import Status

pytestmark = pytest.mark.fault

ANSWERS = "triggers: [{event: custom.*}]\ntype: set\nwith: {values: {n: 1}}\n"
WAITS = "type: wait\nwith: {event: custom.go, for: 1h}\n"


def publish(house: ServersHouse, count: int, name: str = "custom.n") -> list[str]:
    answers = [house.post("/api/v1/events", {"name": name, "data": n}) for n in range(count)]
    assert {answer.status for answer in answers} == {202}
    return [answer.body["id"] for answer in answers]


def answered(house: ServersHouse, count: int) -> list[str]:
    rows = house.ask("why", "answers", "--limit", "1000")["occurrences"]
    assert {row["decision"] for row in rows} <= {"fired"}
    return [row["execution"] for row in rows] if len(rows) >= count else []


def test_events_outlive_schedulers_and_are_answered_once(servers: ServersHouse) -> None:
    servers.start()
    servers.add("answers", ANSWERS)
    servers.add("waits", WAITS)
    waiting = servers.execute("waits")
    servers.reach(waiting, Status.WAITING)
    servers.end("scheduler", signal.SIGKILL)

    # Nobody is there; then one dies in the middle of every delivery.
    publish(servers, 20)
    servers.launch("doomed", "scheduler", CODEX32_FAULT_POINTS="events.before_commit=kill")
    assert servers.processes.pop("doomed").wait(60) == -9
    assert servers.executions("answers") == []

    servers.launch("scheduler", "scheduler")
    servers.launch("second scheduler", "scheduler")
    publish(servers, 20)
    publish(servers, 1, "custom.go")

    made = until(lambda: answered(servers, 41), "41 answers", every=0.5)
    for execution in made:
        servers.succeed(execution)
    assert len(made) == len(set(made)) == len(servers.executions("answers")) == 41
    assert servers.succeed(waiting)["output"]["name"] == "custom.go"
