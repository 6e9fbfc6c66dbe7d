"""With ``log.format: ecs`` whatever a house says is a document, also where things go wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import codex32_houses
import pytest
from codex32_houses import UpHouse, descendants, living, until
from codex32_postgres import private_postgres

PLUGIN = """\
import logging, os, sys

print("printed while it is imported")
logging.getLogger("bad_guest").error("logged while it is imported")
if "scheduler" in sys.argv:
    os.write(2, b"past every form\\n")
raise RuntimeError("two lines\\nof a fault")
"""
BOTS = {
    "good": "name: good\ntriggers: [{every: 1s}]\ntype: set\nwith: {values: {n: 1}}\n",
    "says": 'name: says\ntype: notify\nwith: {to: log, text: "one\\ntwo"}\n',
    "fails": """\
name: fails
type: python
with:
  code: |
    import sys
    print("of the module")
    def main():
        print("of the program", file=sys.stderr)
        raise ValueError("no luck\\nat all")
""",
    "broken": "name: unheard-of\ntype: nothing-of-the-kind\n",
    "torn": "steps: [{id: a\n  - nope\n",
}


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with an installed plugin that cannot be imported."""
    folder = tmp_path / "packages"
    told = folder / "bad_guest-1.0.dist-info"
    told.mkdir(parents=True)
    (folder / "bad_guest.py").write_text(PLUGIN)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-guest\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[codex32]\nbad = bad_guest\n")
    return folder


def lines(text: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in text.splitlines()]
    for each in found:
        assert each.keys() >= {"@timestamp", "message", "log.level", "log.logger", "process.pid"}
    return found


def test_every_line_is_a_document_whatever_happens(tmp_path: Path, packages: Path) -> None:
    nobody = socket.create_server(("127.0.0.1", 0))  # takes connections, and answers none
    collector = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    environment = {
        "CODEX32_LOG__FORMAT": "ecs",
        "CODEX32_LOG__LEVEL": "info",
        "CODEX32_TRACING__ENDPOINT": collector,
        "PYTHONPATH": str(packages),
    }
    with private_postgres() as server, nobody:
        environment["CODEX32_DATABASE_URL"] = server.create()
        with living(UpHouse(tmp_path / "house", environment)) as house:
            for name, text in BOTS.items():
                house.write(name, text)
            house.start()
            until(lambda: house.bot("fails"), "the bots")
            for bot in ("fails", "says"):
                begun = house.execute(bot)
                until(lambda one=begun: house.execution(one)["finished_at"], f"an end of {bot}")
            until(lambda: "is ready" in house.told(), "a worker")

            refused = house.cli("up")
            assert (refused.returncode, refused.stdout) == (3, "")
            (told,) = [each for each in lines(refused.stderr) if "error.code" in each]
            assert (told["log.level"], told["error.code"]) == ("error", "folder-held")

            pids = {text: pid for pid, text in descendants(house.processes["up"].pid)}
            worker = next(pid for text, pid in pids.items() if " worker " in text)
            os.kill(worker, signal.SIGKILL)
            until(lambda: "starting it again" in house.told(), "news of a worker's end")
            until(lambda: house.told().count("worker prc_") > 2, "another worker")

            server.kill()
            until(lambda: "does not answer" in house.told(), "word of the database")
            server.start()
            until(lambda: "can be written again" in house.told(), "the database's return")
            assert house.stop() == {"up": 0}
            said = lines(house.told())

    assert len({each["process.pid"] for each in said}) > 4
    told = {str(each["message"]): each for each in said}
    for name, file in (("unheard-of", "broken"), ("torn", "torn")):
        (about,) = {
            (each["codex32.workspace"], each["codex32.bot"], each["file.path"])
            for each in said
            if each["log.logger"] == "codex32.services.bots.folders"
            and f"{file}.yaml" in str(each["message"])
        }
        assert about == ("default", name, str(house.bots / f"{file}.yaml"))
    about_executions = {
        (each["log.logger"], each["codex32.bot"], "trace.id" in each, "codex32.workspace" in each)
        for each in said
        if "codex32.execution.id" in each and each.get("codex32.bot") != "good"
    }
    assert about_executions == {
        ("codex32.cli.house", "fails", True, True),
        ("codex32.cli.house", "says", True, True),
        ("codex32.notify", "says", True, True),
        ("codex32.services.executions.diagnosing", "fails", True, True),
    }
    assert "stopped; what had begun goes on at the next start" in told
    assert "logged while it is imported" in told
    assert told["past every form"]["log.logger"] == "codex32.cli.house"
    # Nobody's way in stands where lines are kept.
    assert "cx32_once_" not in house.told()
    assert any("codex32 users reset admin" in message for message in told)
    assert codex32_houses.SECRET not in house.told()
