"""No program of the corpus gets out, whoever runs the house, and none harms the next one."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from codex32_escapes.corpus import LIMITS, NAMES
from codex32_escapes.users import run_as

ROOT = Path(__file__).parents[3]
SANDBOXES = ("namespace", "process")
USERS = ("root", "ordinary")

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.parametrize("user", USERS),
    pytest.mark.parametrize("sandbox", SANDBOXES),
]


@cache
def driven(sandbox: str, user: str) -> dict[str, Any]:
    """The corpus in this sandbox, in a process of this user."""
    folder = Path(tempfile.mkdtemp(prefix="escapes-", dir="/tmp"))
    folder.chmod(0o1777)
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT / "tests" / "support"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-P", "-m", "codex32_escapes.drive", sandbox]
    try:
        answer = run_as(
            user, command, environment, [Path(sys.base_prefix), Path(sys.prefix), ROOT]
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if answer.returncode != 0:
        return {"fault": answer.stderr[-3000:]}
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.fixture
def outcome(sandbox: str, user: str) -> dict[str, Any]:
    found = driven(sandbox, user)
    assert "fault" not in found, found["fault"]
    assert (found["user"] == 0) == (user == "root")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_program_does_not_get_out(outcome: dict[str, Any], name: str) -> None:
    end = outcome["ends"][name]
    assert not end["output"], end
    assert end["code"] in {"", "raised", "killed", "timeout", "syntax", "not-json", "too-long"}
    assert end["next"] == [1000, 499500], "the next program was harmed"
    assert end["told"] <= 30_000


def test_nothing_is_harmed(outcome: dict[str, Any]) -> None:
    assert outcome["harm"] == []


def test_nothing_is_left(outcome: dict[str, Any]) -> None:
    found = outcome
    assert (found["processes"], found["folders"]) == ([], [])
    assert found["descriptors"] <= 0


def test_every_program_ends_in_its_time(outcome: dict[str, Any]) -> None:
    ends = outcome["ends"]
    late = {
        n: e["seconds"] for n, e in ends.items() if e["seconds"] > LIMITS["timeout_seconds"] + 40
    }
    assert late == {}
