"""A worker that is killed while it works: another goes on after the last recorded step."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from codex32_houses import ServersHouse, descendants, until

pytestmark = pytest.mark.fault

#: The lease of 10 s, as it stands by default, and the work itself.
FINISHED_SECONDS = 15.0
STEP = """\
  - id: {id}
    type: python
    with:
      args: {{path: "${{{{ inputs.path }}}}"}}
      code: |
        import pathlib, time

        def main(path):
            def add(line):
                with open(path, "a") as file:
                    file.write(line + "\\n")

            add("{id} begins")
            while {hangs} and not pathlib.Path(path + ".go").exists():
                time.sleep(0.05)
            add("{id} ends")
"""
BOT = "inputs: {path: {type: string}}\nsteps:\n" + "".join(
    STEP.format(id=id, hangs=id == "two") for id in ("one", "two", "three")
)


def test_another_finishes_and_no_recorded_step_is_done_twice(
    servers: ServersHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    servers.start()
    servers.add("three-steps", BOT)
    path = tmp_path / "lines"
    execution_id = servers.execute("three-steps", path=str(path))
    until(lambda: path.exists() and "two begins" in path.read_text(), "it is in step two")
    first_worker = servers.execution(execution_id)["worker"]

    (name,) = [
        name
        for name, process in servers.processes.items()
        if any("codex32-program" in text for _, text in descendants(process.pid))
    ]
    below = descendants(servers.processes[name].pid)
    killed_at = time.monotonic()
    servers.end(name, signal.SIGKILL)
    # What it had started goes with it, before anybody else begins the step anew.
    until(
        lambda: not [pid for pid, _ in below if Path(f"/proc/{pid}").exists()], "its programs", 5
    )
    Path(f"{path}.go").touch()

    done = servers.succeed(execution_id, seconds=FINISHED_SECONDS)

    with capsys.disabled():
        print(f"\nfinished {time.monotonic() - killed_at:.1f} s after the kill")
    assert path.read_text().split("\n") == [
        "one begins",
        "one ends",
        "two begins",
        "two begins",
        "two ends",
        "three begins",
        "three ends",
        "",
    ]
    shown = servers.ask("executions", "show", execution_id)
    assert [each["outcome"] for each in shown["attempts"]] == ["lost", "succeeded"]
    assert shown["attempts"][0]["worker"] == first_worker != done["worker"]
    assert [each["status"] for each in shown["steps"]] == ["succeeded"] * 3
    assert servers.cli("db", "check").returncode == 0
