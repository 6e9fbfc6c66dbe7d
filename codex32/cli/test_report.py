"""What ``codex32 test`` shows while it runs and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codex32.cli.output import MARKS, STYLES, Output
from codex32.kernel.bot import Bot
from codex32.kernel.problems import Problem
from codex32.services.cases.case import Verdict
from codex32.services.cases.coverage import Coverage, coverage_of


@dataclass
class Run:
    """What came of the tests of one bot."""

    path: Path
    bot: Bot
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def coverage(self) -> Coverage:
        """What they reached."""
        return coverage_of(self.bot, self.verdicts)


class Report:
    """Collects verdicts, and shows each as it comes.

    Args:
      output: Where they are shown.
      coverage: Whether what no test reached is named.
    """

    def __init__(self, output: Output, *, coverage: bool) -> None:
        self._output, self._coverage = output, coverage
        self.runs: list[Run] = []
        self._problems: list[Problem] = []

    def problems(self, problems: Sequence[Problem]) -> None:
        """Faults of a file, whose bots cannot be tested."""
        self._problems += problems
        for problem in problems:
            self._line(str(problem), "failed")

    def bot(self, path: Path, bot: Bot) -> None:
        """The verdicts that follow are of this bot."""
        self.runs.append(Run(path, bot))
        if bot.tests:
            self._line(f"{bot.name}  {path}")

    def verdict(self, verdict: Verdict) -> None:
        """What came of one test."""
        self.runs[-1].verdicts.append(verdict)
        status = "succeeded" if verdict.passed else "failed"
        taken = f"  {verdict.ending.seconds * 1000:.0f} ms" if verdict.ending else ""
        self._line(f"  {MARKS[status]} {verdict.case.name}{taken}", status)
        for fault in verdict.faults:
            self._line(f"      {fault}", STYLES["failed"])

    def end(self) -> bool:
        """Show the sums; whether everything passed."""
        verdicts = [each for run in self.runs for each in run.verdicts]
        failed = sum(not each.passed for each in verdicts)
        self._output.result(self._document(failed), lambda: self._sums(len(verdicts), failed))
        return not failed and not self._problems

    def _sums(self, tests: int, failed: int) -> None:
        tried = [run for run in self.runs if run.verdicts]
        if self._coverage:
            for run in tried:
                self._missed(run.coverage)
        sums = [run.coverage for run in tried]
        steps = sum(len(each.steps) for each in sums)
        branches = sum(each.branches for each in sums)
        ran = steps - sum(len(each.unrun) for each in sums)
        seen = branches - sum(len(each.unseen) for each in sums)
        parts = [f"{tests} tests", f"{failed} failed" if failed else "all passed"]
        if tests:
            parts.append(f"{ran} of {steps} steps and {seen} of {branches} branches reached")
        if without := [run.bot.name for run in self.runs if not run.bot.tests]:
            parts.append(f"without tests: {', '.join(without)}")
        self._output.note("; ".join(parts if tests else ["no tests were found", *parts[2:]]))

    def _missed(self, coverage: Coverage) -> None:
        for name in coverage.unrun:
            self._output.line(f"{coverage.bot}: no test runs {name}")
        for branch in coverage.unseen:
            self._output.line(f"{coverage.bot}: no test sees {branch}")

    def _line(self, text: str, style: str | None = None) -> None:
        if not self._output.as_json:
            self._output.line(text, STYLES.get(style or "", style))

    def _document(self, failed: int) -> dict[str, Any]:
        return {
            "failed": failed,
            "problems": [problem.as_dict() for problem in self._problems],
            "bots": [
                {
                    "bot": run.bot.name,
                    "file": str(run.path),
                    "tests": [_as_dict(each) for each in run.verdicts],
                    "unrun": list(run.coverage.unrun),
                    "unseen": list(run.coverage.unseen),
                }
                for run in self.runs
            ],
        }


def _as_dict(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.case.name,
        "passed": verdict.passed,
        "faults": list(verdict.faults),
        "seconds": round(verdict.ending.seconds, 4) if verdict.ending else None,
    }
