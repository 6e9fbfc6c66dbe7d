"""kill -9 of a worker that has just started children, before an end that nobody asked it about."""

from __future__ import annotations

import signal

import pytest
from codex32_houses import ServersHouse, until

from codex32.kernel.statuses import Status

pytestmark = pytest.mark.fault

CHILD = "steps: [{id: a, type: wait, with: {for: 1h}}]\n"
PARENT = """\
timeout: 2s
allow: {bots: [child]}
steps:
  - {id: free, type: bot, with: {name: child, wait: false}}
  - {id: bound, type: bot, foreach: [1, 2, 3], parallel: 3, with: {name: child}}
finally:
  - {id: tidy, type: set, with: {values: {}}}
"""


@pytest.mark.parametrize("end", ["cancelled", "timeout", "lost"])
def test_no_child_outlives_a_parent_whose_worker_died_as_it_was_started(
    servers: ServersHouse, short: dict[str, str], end: str
) -> None:
    deaths = {"CODEX32_RECOVERY__MAX_DEATHS": "1"} if end == "lost" else {}
    servers.environment.update(short | deaths)
    servers.workers = 0
    servers.start()
    servers.add("child", CHILD)
    servers.add("parent", PARENT)
    parent = servers.execute("parent")
    servers.launch(
        "doomed", "worker", "--processes", "1", CODEX32_FAULT_POINTS="child.after_start=kill@2"
    )
    assert servers.processes.pop("doomed").wait(60) == -signal.SIGKILL
    free, *bound = reversed(servers.executions("child"))
    assert bound
    if end == "cancelled":
        assert servers.post(f"/api/v1/executions/{parent}/cancel").status == 202

    servers.hire(1)
    status = Status.CANCELLED if end == "cancelled" else Status.FAILED
    assert servers.reach(parent, status)["cause"] == (None if end == "cancelled" else end)

    # One that the dead worker had claimed may be lost itself, where a single death is enough.
    over = {"cancelled", "failed"} if end == "lost" else {"cancelled"}
    until(
        lambda: all(
            servers.execution(each["id"])["status"] in over
            for each in servers.executions("child")
            if each["id"] != free["id"]
        ),
        "the end of the children",
        seconds=10,
    )
    # The worker may have died of it, too; its parent is no reason for it to end.
    assert servers.execution(free["id"])["status"] != "cancelled"
