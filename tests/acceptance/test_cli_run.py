"""``codex32 run`` as a process: signals, pipes, dead processes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CODEX32 = [sys.executable, "-m", "codex32"]
SLOW = """\
name: slow
steps:
  - {id: first, type: set, with: {values: {a: 1}}}
  - id: long
    type: python
    with:
      code: |
        import time

        def main():
            print("sleeping", flush=True)
            time.sleep(60)
finally:
  - {id: tidy, type: set, with: {values: {b: 1}}}
"""
STUBBORN = """\
name: stubborn
type: python
with:
  code: |
    import time

    def main():
        print("sleeping", flush=True)
        time.sleep(60)
finally:
  - id: tidy
    type: python
    with:
      code: |
        import time

        def main():
            print("tidying", flush=True)
            time.sleep(60)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "slow.yaml").write_text(SLOW)
    (tmp_path / "bots" / "stubborn.yaml").write_text(STUBBORN)
    return tmp_path


@pytest.fixture
def codex32(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CODEX32, *arguments],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


def begin(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*CODEX32, *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def newest(codex32: Callable[..., Any]) -> Any:
    told = codex32("executions", "list", "--json").stdout
    return told and next(iter(json.loads(told)["executions"]), None)


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"it ended without saying {text!r}")


def test_ctrl_c_cancels_and_the_finally_steps_run(project, codex32) -> None:
    process = begin(project, "run", "slow")
    read_until(process, "sleeping")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cancelling" in err
    assert "✓ tidy" in out
    assert "slow cancelled" in out
    assert newest(codex32)["status"] == "cancelled"


def test_a_second_ctrl_c_ends_at_once_and_leaves_the_execution(project, codex32) -> None:
    process = begin(project, "run", "stubborn")
    read_until(process, "sleeping")
    process.send_signal(signal.SIGINT)
    read_until(process, "tidying")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    process.communicate()
    found = newest(codex32)
    assert (found["status"], found["cancel_requested"]) == ("running", True)


def test_a_killed_run_leaves_what_was_done_recorded(project, codex32) -> None:
    process = begin(project, "run", "slow")
    read_until(process, "sleeping")
    process.kill()
    process.communicate(timeout=60)
    found = newest(codex32)
    shown = json.loads(codex32("executions", "show", found["id"], "--json").stdout)
    assert found["status"] == "running"
    assert [each["status"] for each in shown["steps"]] == ["succeeded", "running"]


def test_a_reader_that_goes_away_is_no_fault(project) -> None:
    done = subprocess.run(
        f"{shlex.join(CODEX32)} schema | head -c 10",
        shell=True,
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (len(done.stdout), done.stderr) == (10, "")


def test_a_terminal_shows_steps_live(project) -> None:
    import pty

    (project / "quick.yaml").write_text("type: set\nforeach: [1, 2, 3]\nwith: {values: {x: 1}}\n")
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*CODEX32, "run", "quick.yaml"],
        cwd=project,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(follower)
    told = b""
    while True:
        try:
            chunk = os.read(leader, 4096)
        except OSError:
            break
        if not chunk:
            break
        told += chunk
    os.close(leader)
    assert process.wait(60) == 0
    assert "✓ main".encode() in told
    assert b"\x1b[32m" in told


def test_a_program_that_raises_tells_its_authors_own_lines(codex32, project: Path) -> None:
    (project / "bots" / "code.py").write_text(
        "def main(n):\n    return half(n)\n\n\ndef half(n):\n    return 1 / n\n"
    )
    (project / "bots" / "raises.yaml").write_text(
        "type: python\nwith: {file: code.py, args: {n: 0}}\n"
    )
    ran = codex32("run", "bots/raises.yaml")
    execution_id = ran.stderr.split("executions show ")[1].split()[0]
    shown = codex32("executions", "show", execution_id)
    for told in (ran.stdout, shown.stdout):
        assert '      File "code.py", line 6, in half\n        return 1 / n\n' in told
    assert ran.returncode == 1
