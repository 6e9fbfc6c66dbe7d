"""Files that come while schedulers are dead, killed or two, and files that are written slowly."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from codex32_houses import ServersHouse, until
from codex32_violence.accounting import Rows

pytestmark = pytest.mark.fault

INTAKE = """\
allow: {{files: ["{0}"]}}
triggers:
  - file: {{path: "{0}", changes: [created], settle: 500ms}}
    inputs: {{name: "${{{{ trigger.event.name }}}}", size: "${{{{ trigger.event.size }}}}"}}
inputs: {{name: {{type: string}}, size: {{type: integer}}}}
type: set
with: {{values: {{n: 1}}}}
output: "${{{{ [inputs.name, inputs.size] }}}}"
"""


def taken(house: ServersHouse, count: int) -> list[str]:
    rows = house.ask("why", "intake", "--limit", "1000")["occurrences"]
    assert {row["decision"] for row in rows} <= {"fired"}
    return [row["execution"] for row in rows] if len(rows) >= count else []


def has_looked(house: ServersHouse) -> bool:
    """Whether the trigger has noted what was there before it: it answers what comes now."""
    rows = Rows(house.environment["CODEX32_DATABASE_URL"])
    return bool(rows.ask("SELECT 1 FROM file_seen WHERE path LIKE '%known'"))


def test_files_outlive_schedulers_and_are_answered_once_when_whole(
    servers: ServersHouse, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "known").touch()
    servers.start()
    servers.add("intake", INTAKE.format(inbox))
    until(lambda: has_looked(servers), "the first look")
    (inbox / "first").write_text("1")
    until(lambda: taken(servers, 1), "the first file", every=0.5)
    servers.end("scheduler", signal.SIGKILL)

    # Nobody is there; then one dies in the middle of the answer.
    for number in range(10):
        (inbox / f"dead {number}").write_text("12")
    servers.launch("doomed", "scheduler", CODEX32_FAULT_POINTS="files.before_commit=kill")
    assert servers.processes.pop("doomed").wait(60) == -signal.SIGKILL
    assert len(servers.executions("intake")) == 1

    servers.launch("scheduler", "scheduler")
    servers.launch("second scheduler", "scheduler")
    with (inbox / "slow").open("w") as slow:
        for _ in range(20):
            slow.write("x" * 100)
            slow.flush()
            time.sleep(0.2)
    for number in range(10):
        (inbox / f"alive {number}").write_text("123")

    made = until(lambda: taken(servers, 22), "22 answers", every=0.5)
    outputs = [servers.succeed(each)["output"] for each in made]
    assert sorted(outputs) == sorted(
        [["first", 1], ["slow", 2000]]
        + [[f"dead {number}", 2] for number in range(10)]
        + [[f"alive {number}", 3] for number in range(10)]
    )
    assert len(servers.executions("intake")) == 22
