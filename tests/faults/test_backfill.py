"""Backfills as processes: killed in the middle, and two at once."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from codex32_houses import ServersHouse, until

from codex32.kernel.database import Door
from codex32.kernel.models import ExecutionRow

pytestmark = pytest.mark.fault

EVERY = """\
name: every
triggers: [{every: 1m, overlap: allow}]
type: set
with: {values: {n: 1}}
"""
MINUTES = 3000


def made(door: Door) -> Counter[str]:
    """How often each time was made up for."""
    rows = door.read_now(lambda: list(ExecutionRow.select(ExecutionRow.trigger)))
    told = [json.loads(row.trigger) for row in rows]
    return Counter(each["at"] for each in told if each.get("backfill"))


def test_a_killed_backfill_is_run_again_and_two_at_once_make_each_time_once(
    servers: ServersHouse, door: Door
) -> None:
    servers.write("every", EVERY)
    assert servers.cli("run", "every", "--no-wait").returncode == 0
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    span = ("--from", (end - timedelta(minutes=MINUTES)).isoformat(), "--to", end.isoformat())
    command = ("schedules", "backfill", "every", *span, "--yes")

    doomed = servers.launch("doomed", *command)
    until(lambda: len(made(door)) > 0 or doomed.poll() is not None, "a first batch", every=0.005)
    doomed.send_signal(signal.SIGKILL)
    assert doomed.wait(60) == -9
    servers.processes.clear()
    half = len(made(door))
    assert 0 < half < MINUTES + 1

    several = [servers.launch(f"backfill {n}", *command) for n in range(2)]
    deadline = time.monotonic() + 60
    assert [each.wait(deadline - time.monotonic()) for each in several] == [0, 0], servers.told()
    servers.processes.clear()
    counted = made(door)
    assert (len(counted), set(counted.values())) == (MINUTES + 1, {1})
    assert servers.ask(*command)["missing"] == 0
