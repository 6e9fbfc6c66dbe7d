"""``codex32 up``: everything on one machine with SQLite and the bundled Redis."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CODEX32 = [sys.executable, "-m", "codex32"]
TICK = """\
name: tick
triggers: [{every: 1s}]
steps:
  - {id: count, type: set, with: {state: {n: "${{ state.?n.orValue(0) + 1 }}"}}}
output: "${{ state.?n.orValue(0) }}"
"""
HELLO = "name: hello\ntype: set\nwith: {values: {a: 1}}\n"


class Up:
    """A running ``codex32 up --json``; what it said is read as it comes."""

    def __init__(self, project: Path, *arguments: str) -> None:
        self.project = project
        self.process = subprocess.Popen(
            [*CODEX32, "--json", "up", "--port", "0", *arguments],
            cwd=project,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said.append(json.loads(line))

    def until(self, wanted: Callable[[dict[str, Any]], object], seconds: float = 40.0) -> Any:
        """The first thing said that fits, from the beginning on."""
        deadline = time.monotonic() + seconds
        while True:
            for item in list(self.said):
                if wanted(item):
                    return item
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def ended(self, bot: str, count: int = 1) -> dict[str, Any]:
        """The ``count``-th execution of a bot that was told of."""
        self.until(lambda _: len(self._executions(bot)) >= count)
        return self._executions(bot)[count - 1]

    def _executions(self, bot: str) -> list[dict[str, Any]]:
        return [e for e in list(self.said) if e["event"] == "execution" and e.get("bot") == bot]

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join()
        return code


def ready(item: dict[str, Any]) -> bool:
    return item["event"] == "ready"


def processes_of(project: Path) -> list[str]:
    """Command lines of living processes that name the project."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if str(project) in line and state != "Z":
            found.append(line)
    return found


def eventually_gone(project: Path, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while processes_of(project):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def codex32(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CODEX32, *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def execution_of(project: Path, execution_id: str) -> Any:
    return json.loads(codex32(project, "executions", "show", execution_id, "--json").stdout)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "tick.yaml").write_text(TICK)
    (tmp_path / "bots" / "hello.yaml").write_text(HELLO)
    return tmp_path


@pytest.fixture
def up(project: Path) -> Iterator[Callable[..., Up]]:
    running: list[Up] = []

    def start(*arguments: str) -> Up:
        running.append(Up(project, *arguments))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.stop()


def test_it_runs_bots_stops_without_a_trace_and_goes_on(project, up) -> None:
    first = up()
    url = first.until(ready)["url"]
    # What needs no network of its own is tried on the running house before it stops.
    second = codex32(project, "up")
    assert second.returncode == 3
    assert f"process {first.process.pid} since" in second.stderr
    assert url in second.stderr
    told = first.ended("tick", 2)
    assert (told["status"], told["trigger"]) == ("succeeded", "every")
    last = len(first._executions("tick"))
    assert first.stop() == 0
    assert first.said[-1]["event"] == "stopped"
    assert eventually_gone(project)

    again = up("--workers", "1")
    again.until(ready)
    again.ended("tick")
    assert again.stop(signal.SIGTERM) == 0
    listed = json.loads(codex32(project, "executions", "list", "--bot", "tick", "--json").stdout)
    newest = execution_of(project, listed["executions"][0]["id"])
    assert newest["output"] >= last  # the state of the first time was still there
    assert json.loads(codex32(project, "db", "check", "--json").stdout) == {"problems": []}


def test_a_run_beside_it_is_done_by_its_workers(project, up) -> None:
    house = up("--workers", "1")
    house.until(ready)
    house.ended("tick")
    done = codex32(project, "run", "hello", "--json")
    assert done.returncode == 0, done.stderr
    execution = json.loads(done.stdout)
    assert house.ended("hello")["id"] == execution["id"]
    assert execution["worker"] == execution_of(project, house.ended("tick")["id"])["worker"]


def test_changes_of_files_and_their_faults_are_told(project, up) -> None:
    house = up()
    house.until(ready)
    house.ended("tick")
    path = project / "bots" / "hello.yaml"
    path.write_text(HELLO.replace("a: 1", "a: 2"))
    house.until(lambda e: e.get("name") == "hello" and e.get("version") == 2)
    path.write_text("name: hello\ntype: sett\n")
    house.until(lambda e: e.get("name") == "hello" and e.get("status") == "broken")
    house.until(lambda e: e["event"] == "said" and "bots/hello.yaml:2:7: type" in e["text"])
    assert json.loads(codex32(project, "run", "hello", "--json").stdout)["output"] == {"a": 2}
    path.unlink()
    house.until(lambda e: e.get("name") == "hello" and e.get("status") == "removed")


def test_a_worker_that_dies_is_replaced_and_its_execution_goes_on(
    project, up, monkeypatch
) -> None:
    monkeypatch.setenv("CODEX32_WORKER__LEASE_SECONDS", "1")
    monkeypatch.setenv("CODEX32_RECOVERY__INTERVAL_SECONDS", "0.5")
    (project / "bots" / "deadly.yaml").write_text(
        f"name: deadly\nallow: {{files: [{{path: '{project}', write: true}}]}}\nsteps:\n"
        "  - {id: before, type: set, with: {values: {a: 1}}}\n"
        "  - id: long\n    type: python\n    with:\n      args: {here: '" + str(project) + "'}\n"
        "      code: |\n"
        "        import os, pathlib, time\n"
        "        def main(here):\n"
        "            mark = pathlib.Path(here, 'mark')\n"
        "            first = not mark.exists()\n"
        "            mark.touch()\n"
        "            if first: time.sleep(60)\n"
    )
    house = up("--workers", "1")
    house.until(ready)
    house.until(lambda e: e.get("name") == "deadly")
    started = json.loads(codex32(project, "run", "deadly", "--no-wait", "--json").stdout)["id"]
    deadline = time.monotonic() + 60
    while not (project / "mark").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for line, pid in _workers(project):
        assert " worker " in line
        os.kill(pid, signal.SIGKILL)
    house.until(lambda e: e["event"] == "died" and e["name"] == "worker 1")
    told = house.ended("deadly")
    assert (told["id"], told["status"], told["attempt"]) == (started, "succeeded", 2)


def _workers(project: Path) -> list[tuple[str, int]]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(project) in line and " worker " in line:
            found.append((line, int(folder.name)))
    assert found
    return found


def test_nothing_is_left_when_it_is_killed(project, up) -> None:
    house = up()
    house.until(ready)
    house.process.kill()
    house.process.wait(60)
    assert eventually_gone(project), processes_of(project)
    again = up()
    again.until(ready)
    again.ended("tick")


def test_an_address_that_is_taken_ends_it_with_the_reason(project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = codex32(project, "up", "--port", port)
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in done.stdout
    assert eventually_gone(project)


def test_companions_run_beside_it(project, up) -> None:
    (project / "codex32.yaml").write_text("up: {companions: [completion]}\n")
    house = up()
    # A command that needs an argument ends at once, and is told of.
    house.until(lambda e: e["event"] == "died" and e["name"] == "completion")
    house.until(ready)
