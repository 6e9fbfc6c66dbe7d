"""Verdicts as JUnit XML, which build servers read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

if TYPE_CHECKING:
    from codex32.cli.test_report import Run

#: What XML 1.0 cannot hold.
_UNSPEAKABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(runs: Sequence[Run]) -> str:
    """One ``testsuite`` a bot, one ``testcase`` a test."""
    root = Xml.Element("testsuites")
    for run in runs:
        failed = sum(not each.passed for each in run.verdicts)
        suite = Xml.SubElement(
            root,
            "testsuite",
            name=run.bot.name,
            tests=str(len(run.verdicts)),
            failures=str(failed),
            errors="0",
            file=str(run.path),
        )
        for verdict in run.verdicts:
            seconds = verdict.ending.seconds if verdict.ending else 0.0
            case = Xml.SubElement(
                suite,
                "testcase",
                classname=run.bot.name,
                name=_speakable(verdict.case.name),
                time=f"{seconds:.4f}",
            )
            if verdict.faults:
                text = _speakable("\n".join(verdict.faults))
                failure = Xml.SubElement(case, "failure", message=text.partition("\n")[0])
                failure.text = text
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode")


def _speakable(text: str) -> str:
    return _UNSPEAKABLE.sub("\N{REPLACEMENT CHARACTER}", text)
