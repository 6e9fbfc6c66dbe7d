"""The API killed at its worst moment, and several schedulers that want the same."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from codex32_houses import ServersHouse, until

pytestmark = pytest.mark.fault

QUICK = "type: set\nwith: {values: {n: 1}}\n"
TICK = """\
name: tick
triggers: [{every: 1s, overlap: allow, on_missed: all}]
type: set
with: {values: {n: 1}}
"""


def test_an_api_killed_between_row_and_message_has_not_taken_in_vain(
    servers: ServersHouse,
) -> None:
    servers.start()
    servers.add("quick", QUICK)
    assert servers.end("api") == 0
    servers.serve("doomed", CODEX32_FAULT_POINTS="dispatch.before=kill")
    doomed = servers.processes.pop("doomed")

    with pytest.raises(ConnectionError):
        servers.execute("quick")

    assert doomed.wait(60) == -9
    servers.serve()
    (only,) = until(lambda: servers.executions("quick"), "the execution")
    done = servers.succeed(only["id"])
    asked, began = (datetime.fromisoformat(done[each]) for each in ("created_at", "started_at"))
    assert began - asked < timedelta(seconds=5)


def test_two_schedulers_answer_every_time_once_also_when_one_is_killed(
    servers: ServersHouse,
) -> None:
    servers.start()
    servers.launch("second scheduler", "scheduler")
    servers.write("tick", TICK)

    def fired(count: int) -> list[str]:
        answers = servers.ask("why", "tick", "--limit", "1000")["occurrences"]
        assert {each["decision"] for each in answers} <= {"fired"}
        return sorted(each["scheduled_at"] for each in answers) if len(answers) >= count else []

    until(lambda: servers.bot("tick"), "tick is there")
    until(lambda: fired(3), "three ticks", every=0.5)
    servers.end("scheduler", signal.SIGKILL)

    times = until(lambda: fired(6), "three more", every=0.5)

    moments = [datetime.fromisoformat(each) for each in times]
    assert {after - before for before, after in pairwise(moments)} == {timedelta(seconds=1)}
    started = [each["created_at"] for each in servers.executions("tick")]
    assert len(started) >= len(times)
    assert [each["number"] for each in servers.ask("bots", "history", "tick")["versions"]] == [1]
