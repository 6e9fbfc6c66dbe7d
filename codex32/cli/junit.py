"""Verdicts as JUnit XML, which build servers read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

if TYPE_CHECKING:
    from codex32.cli.test_report import Run
    from codex32.services.cases.python_tests import PythonVerdict

#: What XML 1.0 cannot hold.
_UNSPEAKABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: A test's name, its seconds, and what it said where it failed.
_Test = tuple[str, float, str]


def junit_xml(runs: Sequence[Run], python: Mapping[Path, Sequence[PythonVerdict]]) -> str:
    """One ``testsuite`` a bot and one a folder with Python tests, one ``testcase`` a test."""
    root = Xml.Element("testsuites")
    for run in runs:
        tests = [
            (
                each.case.name,
                each.ending.seconds if each.ending else 0.0,
                "\n".join(each.faults),
            )
            for each in run.verdicts
        ]
        _suite(root, run.bot.name, run.path, tests)
    for folder, verdicts in python.items():
        _suite(
            root, "pytest", folder, [(each.name, each.seconds, _said(each)) for each in verdicts]
        )
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode")


def _suite(root: Xml.Element, name: str, file: Path, tests: Sequence[_Test]) -> None:
    suite = Xml.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(tests)),
        failures=str(sum(bool(said) for _, _, said in tests)),
        errors="0",
        file=str(file),
    )
    for title, seconds, said in tests:
        case = Xml.SubElement(
            suite, "testcase", classname=name, name=_speakable(title), time=f"{seconds:.4f}"
        )
        if said:
            text = _speakable(said)
            failure = Xml.SubElement(case, "failure", message=text.partition("\n")[0])
            failure.text = text


def _said(verdict: PythonVerdict) -> str:
    return "" if verdict.passed else verdict.message or "it failed"


def _speakable(text: str) -> str:
    return _UNSPEAKABLE.sub("\N{REPLACEMENT CHARACTER}", text)
