"""``codex32 test`` runs pytest for the Python of bots, in the sandbox and nowhere else."""

from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree as Xml

import pytest

BOT = """\
name: price-list
allow: {hosts: [shop.example.com]}
steps:
  - id: dear
    type: python
    with:
      args: {prices: [1, 20]}
      code: |
        def main(prices):
            return [price for price in prices if price >= 10]
  - {id: total, type: python, with: {args: {prices: "${{ steps.dear.output }}"}, file: totals.py}}
output: "${{ steps.total.output }}"
tests:
  - {name: adds up what is dear, expect: {output: 20}}
"""
TOTALS = "def main(prices):\n    return sum(prices)\n"
TESTS = """\
import pytest
import totals


@pytest.mark.parametrize("price, kept", [(9, []), (10, [10])])
def test_what_is_dear(step_main, price, kept):
    assert step_main("price-list", "dear")(prices=[price]) == kept


def test_totals():
    assert totals.main([]) == 0
"""
REACHING = """\
import os
import socket

import pytest


def test_nobody_is_reached():
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", %d), timeout=2)


def test_nothing_is_seen():
    assert not os.path.exists(%r)
    assert "CODEX32_SECRET_TOKEN" not in os.environ
"""


@pytest.fixture
def folder(project):
    bots = project / "prices"
    bots.mkdir()
    (bots / "price-list.yaml").write_text(BOT)
    (bots / "totals.py").write_text(TOTALS)
    (bots / "test_price_list.py").write_text(TESTS)
    return bots


def test_python_is_tested_beside_the_bots_and_stands_in_the_junit_report(codex32, folder, project):
    answer = codex32("test", "prices", "--junit", "out.xml")
    assert answer.code == 0, answer.out + answer.err
    assert "test_price_list.py::test_what_is_dear[9-kept0]" in answer.out
    assert "4 tests; all passed" in answer.err
    of_bot, of_python = Xml.parse(project / "out.xml").getroot()
    assert (of_bot.attrib["tests"], of_python.attrib["tests"]) == ("1", "3")


def test_the_same_file_runs_under_plain_pytest(folder):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_what_fails_says_what_pytest_says(codex32, folder):
    (folder / "totals.py").write_text("def main(prices):\n    return 20\n")
    answer = codex32("test", "prices")
    assert answer.code == 1
    assert "assert 20 == 0" in answer.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_this_name\n", "nothing_of_this_name"),
        ("x = 1\n", "it holds no tests"),
        ("def test_it(step_main):\n    step_main('price-list', 'deer')\n", "price-list.dear"),
        ("def test_it():\n    import os\n    os._exit(3)\n", ""),
    ],
    ids=["import", "empty", "step", "ends"],
)
def test_what_cannot_be_tested_fails(codex32, folder, text, said):
    (folder / "test_price_list.py").write_text(text)
    answer = codex32("test", "prices", "--json")
    assert answer.code == 1
    (told,) = answer.json["python"]
    assert not told["passed"]
    assert said in told["message"]


def test_one_file_that_cannot_be_read_says_nothing_about_the_others(codex32, folder):
    (folder / "test_zebra.py").write_text("def test_it(:\n")
    answer = codex32("test", "prices", "--json")
    assert answer.code == 1
    told = {each["name"]: each["passed"] for each in answer.json["python"]}
    assert told.pop("test_zebra.py") is False
    assert list(told.values()) == [True, True, True]


ODD = """\
import pytest


@pytest.mark.skip(reason="not now")
def test_later():
    assert False


@pytest.mark.xfail
def test_hopeless():
    assert False


@pytest.fixture
def broken():
    yield
    raise RuntimeError("too late")


def test_ends_badly(broken):
    pass


def test_plainly(step_main):
    assert 1 == 2
"""


def test_a_build_server_is_told_what_was_skipped_and_what_each_failure_was(
    codex32, folder, project
):
    (folder / "test_price_list.py").write_text(ODD)
    answer = codex32("test", "prices", "--junit", "out.xml")
    assert "⊘ test_price_list.py::test_later  Skipped: not now" in answer.out
    suite = Xml.parse(project / "out.xml").getroot()[1]
    became = {
        case.attrib["name"].partition("::")[2]: [(tag.tag, tag.attrib["message"]) for tag in case]
        for case in suite
    }
    assert became == {
        "test_later": [("skipped", "Skipped: not now")],
        "test_hopeless": [],
        "test_ends_badly": [("failure", "RuntimeError: too late")],
        "test_plainly": [("failure", "assert 1 == 2")],
    }
    counts = {key: suite.attrib[key] for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "2", "errors": "0", "skipped": "1"}
    assert re.fullmatch(r"[0-9]+\.[0-9]{3}", suite.attrib["time"])  # more digits Jenkins refuses


def test_a_file_that_is_named_brings_the_tests_of_its_name_alone(codex32, folder):
    (folder / "test_other.py").write_text("def test_other():\n    assert False\n")
    assert codex32("test", "prices/price-list.yaml").code == 0
    assert codex32("test", "prices").code == 1
    assert codex32("test", "prices", "-k", "totals").code == 0


def test_tests_of_python_reach_nobody_and_see_nothing(codex32, folder, monkeypatch, tmp_path):
    import socket

    monkeypatch.setenv("CODEX32_SECRET_TOKEN", "the real one")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        text = REACHING % (listening.getsockname()[1], str(tmp_path / "bots" / "hello.yaml"))
        (folder / "test_price_list.py").write_text(text)
        answer = codex32("test", "prices")
    assert answer.code == 0, answer.out


def test_mutants_are_killed_by_both_kinds_of_tests_and_survivors_are_told(codex32, folder):
    answer = codex32("test", "prices", "--mutants", "--most", "60", "--json")
    assert answer.code == 0, answer.err
    proof = answer.json["bots"][0]["proof"]
    killers = {name for each in proof["mutants"] for name in each["killers"]}
    assert "adds up what is dear" in killers
    assert "test_price_list.py::test_what_is_dear[10-kept1]" in killers
    assert not proof["notices_nothing"]
    boundary = next(each for each in proof["mutants"] if each["what"] == ">= became >")
    assert boundary["killers"] == ["test_price_list.py::test_what_is_dear[10-kept1]"]
    assert boundary["line"] == 10


IDLE = """\
name: idle
steps:
  - {id: a, type: set, with: {values: {n: 1}}}
  - {id: b, type: notify, with: {to: log, text: "${{ string(steps.a.output.n) }}"}}
tests:
  - {name: says nothing, expect: {status: succeeded}}
"""


def test_tests_that_prove_nothing_are_told_and_fail_where_proof_is_asked_for(codex32, project):
    (project / "idle.yaml").write_text(IDLE)
    answer = codex32("test", "idle.yaml", "--mutants")
    assert answer.code == 0
    assert "all of its tests pass where it does nothing at all" in answer.out
    assert "nobody noticed idle.yaml:4: steps.1: the step b is left out" in answer.out
    assert codex32("test", "idle.yaml", "--least", "60").code == 1
    chosen = codex32("test", "idle.yaml", "-k", "nothing", "--least", "60")
    assert (chosen.code, "no mutants without all of its tests" in chosen.out) == (1, True)
    better = IDLE.replace("{status: succeeded}", "{effects: [{step: b, with: {text: '1'}}]}")
    (project / "idle.yaml").write_text(better)
    assert codex32("test", "idle.yaml", "--least", "60").code == 0
