"""Tests of a bot that is nowhere stored, in a process of its own, as a server needs them."""

from __future__ import annotations

import pytest

from codex32.services.building.proving import prove
from codex32.services.cases import apart

BOT = """\
name: adds
type: python
with:
  args: {a: 1}
  code: |
    def main(a):
        return a + 1
tests:
  - {name: adds one, expect: {output: 2}}
"""
TESTS = "def test_more(step_main):\n    assert step_main('adds', 'main')(a=4) == 5\n"


async def test_a_server_is_told_what_the_tests_are_worth(tmp_path) -> None:
    report = await apart.try_apart("adds", BOT, python=TESTS, mutants=6, project=tmp_path)
    assert report.passed
    assert [each["name"] for each in report.tests] == ["adds one"]
    assert [each["name"] for each in report.python] == ["test_adds.py::test_more"]
    assert report.proof is not None
    assert report.proof["share"] == 1
    assert report.proof["idle"] == []


async def test_a_bot_with_faults_or_tests_that_fail_is_told_as_it_is(tmp_path) -> None:
    report = await apart.try_apart("adds", "name: adds\nsteps: 5\n", project=tmp_path)
    assert not report.passed
    assert "steps" in {each["path"] for each in report.problems}
    wrong = BOT.replace("output: 2", "output: 3")
    report = await apart.try_apart("adds", wrong, project=tmp_path)
    assert not report.passed
    assert report.tests[0]["faults"] == ["output: 2, not 3"]
    assert report.proof is None


async def test_a_bot_that_cannot_be_read_is_not_held_for_one_whose_tests_pass(tmp_path) -> None:
    with pytest.raises(apart.TrialsFailed, match=r"could not be run: .*steps: must be"):
        await prove("adds", "name: adds\nsteps: 5\n", "", project=tmp_path)


async def test_tests_that_come_to_no_end_are_ended(tmp_path) -> None:
    endless = BOT.replace("return a + 1", "while True: pass")
    with pytest.raises(apart.TrialsFailed, match=r"within 3 s"):
        await apart.try_apart("adds", endless, project=tmp_path, timeout_seconds=3)


async def test_what_keeps_the_process_from_working_is_told(tmp_path) -> None:
    (tmp_path / "codex32.yaml").write_text("nothing_of_this_name: 1\n")
    with pytest.raises(apart.TrialsFailed, match="nothing_of_this_name"):
        await apart.try_apart("adds", BOT, project=tmp_path)
