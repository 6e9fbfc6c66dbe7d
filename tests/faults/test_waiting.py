"""kill -9 of workers while steps begin to wait for events and for people, and when they go on.

Every step asks once, whoever dies: one approval a step, one answer a wait.
"""

from __future__ import annotations

import signal

import pytest
from codex32_houses import ServersHouse, until

from codex32.kernel.statuses import Status

pytestmark = pytest.mark.fault

WAITS = """\
steps:
  - {id: before, type: set, with: {values: {n: 1}}}
  - {id: paid, type: wait, with: {event: custom.paid, for: 1h}}
  - {id: after, type: set, with: {values: {got: "${{ steps.paid.output.data }}"}}}
output: "${{ steps.after.output.got }}"
"""
ASKS = """\
steps:
  - {id: before, type: set, with: {values: {n: 1}}}
  - {id: ask, type: approve, with: {text: "Go?", form: {n: {type: integer}}}}
  - {id: after, type: set, with: {values: {got: "${{ steps.ask.output.form.n }}"}}}
output: "${{ steps.after.output.got }}"
"""
#: Passed by the worker that comes to the wait; the first step of a bot has passed some before.
GOING_IN = ("step.after_try@2", "record.before@2", "execution.before_leave", "commit.before@2",
            "commit.after@2", "execution.after_leave")  # fmt: skip
#: Passed by the worker that goes on once there is an answer.
GOING_ON = ("attempt.begin", "record.before", "record.after", "execution.before_end")


def doom(house: ServersHouse, points: tuple[str, ...], execution: str = "") -> None:
    """Let workers die at each point, one after the other.

    Which commit holds the leave is for the group that it happened to join: once the execution
    waits, the points before its leave are no more passed by anybody.
    """
    for number, point in enumerate(points):
        if execution and house.execution(execution)["status"] == "waiting":
            return
        name, _, nth = point.partition("@")
        which = f"@{nth}" if nth else ""
        doomed = f"doomed {number}"
        armed = f"{name}=kill{which}"
        house.launch(doomed, "worker", "--processes", "1", CODEX32_FAULT_POINTS=armed)
        assert house.processes.pop(doomed).wait(60) == -signal.SIGKILL, point


def prepared(house: ServersHouse, short: dict[str, str], name: str, text: str) -> str:
    """An execution of a bot that nobody works on, in a house without workers."""
    house.environment.update(short)
    house.workers = 0
    house.start()
    house.add(name, text)
    return house.execute(name)


def test_a_wait_for_an_event_outlives_the_workers_around_it(
    servers: ServersHouse, short: dict[str, str]
) -> None:
    execution = prepared(servers, short, "waits", WAITS)
    doom(servers, GOING_IN, execution)
    servers.hire(1)
    servers.reach(execution, Status.WAITING)
    (worker,) = [name for name in servers.processes if name.startswith("worker")]
    servers.end(worker, signal.SIGKILL)
    answer = servers.post("/api/v1/events", {"name": "custom.paid", "data": 7})
    assert answer.status == 202
    until(lambda: servers.execution(execution)["status"] == "queued", "its event")

    doom(servers, GOING_ON)
    servers.post("/api/v1/events", {"name": "custom.paid", "data": 8})
    servers.hire(1)

    assert servers.succeed(execution)["output"] == 7
    assert [each["status"] for each in servers.steps(execution).values()] == ["succeeded"] * 3
    assert servers.cli("db", "check").returncode == 0


def test_people_are_asked_once_whichever_worker_dies(
    servers: ServersHouse, short: dict[str, str]
) -> None:
    execution = prepared(servers, short, "asks", ASKS)
    doom(servers, GOING_IN, execution)
    servers.hire(1)
    servers.reach(execution, Status.WAITING)
    (worker,) = [name for name in servers.processes if name.startswith("worker")]
    servers.end(worker, signal.SIGKILL)
    (asked,) = servers.get(f"/api/v1/approvals?execution={execution}").body["items"]
    assert asked["status"] == "pending"
    path = f"/api/v1/approvals/{asked['id']}/approve"
    assert servers.post(path, {"form": {"n": 7}}).status == 200

    doom(servers, GOING_ON)
    assert servers.post(path, {"form": {"n": 8}}).status == 409
    servers.hire(1)

    assert servers.succeed(execution)["output"] == 7
    (asked,) = servers.get(f"/api/v1/approvals?execution={execution}").body["items"]
    assert (asked["status"], asked["answer"]) == ("approved", {"n": 7})
    assert [each["status"] for each in servers.steps(execution).values()] == ["succeeded"] * 3
    assert servers.cli("db", "check").returncode == 0
