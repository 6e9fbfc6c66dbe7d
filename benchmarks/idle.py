"""``codex32 up`` with nothing to do: how soon it is ready, and what it takes while it waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks import processes
from benchmarks.report import Progress
from benchmarks.servers import Servers

STOP_SECONDS = 60.0
SETTLE_SECONDS = 3.0
_MEBIBYTE = 1 << 20


def measure(servers: Servers, progress: Progress, *, seconds: float) -> dict[str, Any]:
    """Start the whole system with two workers, SQLite and its own Redis, and leave it alone.

    It is started for the second time, as it mostly is: the first writes down what Python compiles.

    Returns:
      ``start_to_ready_seconds``, ``cpu_percent`` of one core over ``seconds``, and ``rss_mib`` and
      ``pss_mib`` (shared pages shared out) in total and by role.
    """
    folder = servers.new_folder()
    (folder / "bots").mkdir()
    (folder / "bots" / "quiet.yaml").write_text(
        "triggers: [{cron: '0 8 * * *'}]\ntype: set\nwith: {values: {}}\n"
    )
    with _up(folder):
        pass
    with _up(folder) as (pid, ready):
        progress.tell(f"codex32 up is ready after {ready:.2f} s")
        found = {"start_to_ready_seconds": round(ready, 2), **_resting(pid, seconds)}
    progress.tell(f"idle: {found}")
    return found


@contextmanager
def _up(folder: Path) -> Iterator[tuple[int, float]]:
    """``codex32 up`` while the block runs: its process, and its seconds until it was ready."""
    command = [sys.executable, "-P", "-m", "codex32", "--folder", str(folder), "--json", "up"]
    began = time.perf_counter()
    up = subprocess.Popen(
        [*command, "--port", "0", "--workers", "2"],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
        start_new_session=True,  # it is stopped from here, once
    )
    try:
        _wait_until_ready(up)
        yield up.pid, time.perf_counter() - began
    finally:
        up.terminate()
        up.communicate(timeout=STOP_SECONDS)


def _environment() -> dict[str, str]:
    """As a user has it: no settings of ours, and Python may keep what it compiled."""
    left_out = ("CODEX32_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def _wait_until_ready(up: subprocess.Popen[str]) -> None:
    assert up.stdout is not None
    said = []
    for line in up.stdout:
        said.append(line)
        if json.loads(line)["event"] == "ready":
            return
    raise RuntimeError(f"codex32 up ended with {up.wait()}: {''.join(said)}")


def _resting(pid: int, seconds: float) -> dict[str, Any]:
    root = psutil.Process(pid)
    time.sleep(SETTLE_SECONDS)
    before = _cpu_seconds(root)
    time.sleep(seconds)
    after = _cpu_seconds(root)
    if after.keys() != before.keys():
        raise RuntimeError(
            "a process of codex32 up died or was born while there was nothing to do"
        )
    spent = sum(after.values()) - sum(before.values())
    rss: Counter[str] = Counter()
    pss: Counter[str] = Counter()
    for process, role in [(root, "up"), *processes.tree(root)]:
        memory = process.memory_full_info()
        rss[role] += memory.rss // _MEBIBYTE
        pss[role] += memory.pss // _MEBIBYTE
    return {
        "cpu_percent": round(spent / seconds * 100, 2),
        "rss_mib": {"total": rss.total(), **rss},
        "pss_mib": {"total": pss.total(), **pss},
    }


def _cpu_seconds(root: psutil.Process) -> dict[int, float]:
    every = [root, *(process for process, _ in processes.tree(root))]
    times = {process.pid: process.cpu_times() for process in every}
    return {pid: each.user + each.system for pid, each in times.items()}
