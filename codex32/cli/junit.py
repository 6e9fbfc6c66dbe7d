"""Verdicts as JUnit XML, which build servers read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

if TYPE_CHECKING:
    from codex32.cli.test_report import Run
    from codex32.kernel.problems import Problem
    from codex32.services.cases.python_tests import PythonVerdict

#: What XML 1.0 cannot hold.
_UNSPEAKABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(
    runs: Sequence[Run],
    python: Mapping[Path, Sequence[PythonVerdict]],
    faults: Sequence[Problem] = (),
) -> str:
    """One ``testsuite`` a bot and one a folder with Python tests, one ``testcase`` a test.

    A file with faults is a suite as well, so that nobody takes it for one whose tests pass.
    """
    root = Xml.Element("testsuites")
    by_file: dict[str, list[Problem]] = {}
    for fault in faults:
        by_file.setdefault(fault.file or "", []).append(fault)
    for file, each in by_file.items():
        suite = _suite(root, file or "bots", file)
        _case(suite, "has no faults", 0.0, "error", "\n".join(map(str, each)))
        _count(suite)
    for run in runs:
        suite = _suite(root, run.bot.name, str(run.path))
        for tried in run.verdicts:
            seconds = tried.ending.seconds if tried.ending else 0.0
            failed = "" if tried.passed else "failure"
            _case(suite, tried.case.name, seconds, failed, "\n".join(tried.faults))
        _count(suite)
    for folder, verdicts in python.items():
        suite = _suite(root, "pytest", str(folder))
        for said in verdicts:
            became = "skipped" if said.skipped else "" if said.passed else "failure"
            _case(suite, said.name, said.seconds, became, said.message)
        _count(suite)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode")


def _suite(root: Xml.Element, name: str, file: str) -> Xml.Element:
    return Xml.SubElement(root, "testsuite", name=_speakable(name), file=_speakable(file))


def _case(suite: Xml.Element, name: str, seconds: float, became: str, said: str) -> None:
    """A test, and what became of it: ``failure``, ``error``, ``skipped`` or nothing of these."""
    about = {"classname": suite.attrib["name"], "name": _speakable(name), "time": f"{seconds:.4f}"}
    case = Xml.SubElement(suite, "testcase", about)
    if became:
        text = _speakable(said)
        told = Xml.SubElement(case, became, message=_first(text))
        if became != "skipped":
            told.text = text


def _first(text: str) -> str:
    """The line that says most: of what pytest prints the one that it marks as the error."""
    marked = next((line for line in text.splitlines() if line.startswith("E  ")), None)
    return text.partition("\n")[0] if marked is None else marked[1:].strip()


def _count(suite: Xml.Element) -> None:
    cases = suite.findall("testcase")
    for key, became in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(became) is not None for case in cases)))
    suite.set("tests", str(len(cases)))
    seconds = sum(float(case.attrib["time"]) for case in cases)
    suite.set("time", f"{seconds:.3f}")  # the schema of Jenkins takes no fourth digit here


def _speakable(text: str) -> str:
    return _UNSPEAKABLE.sub("\N{REPLACEMENT CHARACTER}", text)
