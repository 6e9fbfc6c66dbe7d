"""What ``codex32 test`` shows while it runs and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from codex32.cli.output import MARKS, STYLES, Output
from codex32.engine.reading.document import Document, read_documents
from codex32.kernel.bot import Bot
from codex32.kernel.problems import Problem
from codex32.services.cases.case import Verdict
from codex32.services.cases.coverage import Coverage, coverage_of
from codex32.services.cases.proving import Proof
from codex32.services.cases.python_tests import PythonVerdict


@dataclass
class Run:
    """What came of the tests of one bot.

    Attributes:
      proof: What became of its mutants, where these were asked for.
    """

    path: Path
    bot: Bot
    verdicts: list[Verdict] = field(default_factory=list)
    proof: Proof | None = None

    @property
    def coverage(self) -> Coverage:
        """What they reached."""
        return coverage_of(self.bot, self.verdicts)

    @cached_property
    def document(self) -> Document | None:
        """The bot as it stands in its file."""
        for each in read_documents(self.path.read_bytes(), file=str(self.path)):
            value = each.value
            if isinstance(value, dict) and value.get("name", self.path.stem) == self.bot.name:
                return each
        return None


class Report:
    """Collects verdicts, and shows each as it comes.

    Args:
      output: Where they are shown.
      coverage: Whether what no test reached is named.
      least: Per cent of a bot's mutants that must be noticed; None where that is no fault.

    Attributes:
      python: What pytest said, by folder.
      faults: Of files, whose bots cannot be tested.
    """

    def __init__(self, output: Output, *, coverage: bool, least: int | None = None) -> None:
        self._output, self._coverage, self._least = output, coverage, least
        self._unproved = False
        self.runs: list[Run] = []
        self.python: dict[Path, Sequence[PythonVerdict]] = {}
        self.faults: list[Problem] = []

    def problems(self, problems: Sequence[Problem]) -> None:
        """Faults of a file, whose bots cannot be tested."""
        self.faults += problems
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
        seconds = verdict.ending.seconds if verdict.ending else None
        self._test(verdict.case.name, verdict.passed, seconds, verdict.faults)

    def python_verdicts(self, folder: Path, verdicts: Sequence[PythonVerdict]) -> None:
        """What came of the tests of Python in a folder."""
        self.python[folder] = verdicts
        self._line(f"pytest  {folder}")
        for each in verdicts:
            if each.skipped:
                reason = each.message.partition("\n")[0]
                self._line(f"  {MARKS['skipped']} {each.name}  {reason}", "skipped")
            else:
                self._test(each.name, each.passed, each.seconds, each.message.splitlines())

    def proof(self, run: Run, proof: Proof) -> None:
        """What became of the mutants of one bot."""
        run.proof = proof
        if proof.share is None:
            self._line(f"{proof.bot}: nothing of it can be changed")
            return
        killed, of = len(proof.fates) - len(proof.survivors), len(proof.fates)
        style = "failed" if self._is_weak(proof) else "succeeded"
        self._line(f"{proof.bot}: {killed} of {of} mutants noticed ({proof.share:.0%})", style)
        if proof.notices_nothing:
            self._line("  all of its tests pass where it does nothing at all", "failed")
        for fate in proof.survivors:
            self._line(f"  nobody noticed {run.path}:{fate.told(run.document)}")

    def unproved(self, run: Run) -> None:
        """Show that mutants were not tried, if tests were: some of the bot's were left out."""
        if run.verdicts:
            self._unproved = True
            self._line(
                f"{run.bot.name}: no mutants without all of its tests; leave out -k", "failed"
            )

    @property
    def failed(self) -> int:
        """How many tests failed."""
        verdicts = [each for run in self.runs for each in run.verdicts]
        python = [each for verdicts in self.python.values() for each in verdicts]
        return sum(not each.passed for each in verdicts) + sum(not each.passed for each in python)

    def end(self) -> bool:
        """Show the sums; whether everything passed."""
        self._output.result(self._document(), self._sums)
        weak = any(run.proof is not None and self._is_weak(run.proof) for run in self.runs)
        weak |= self._unproved and self._least is not None
        return not self.failed and not self.faults and not weak

    def _is_weak(self, proof: Proof) -> bool:
        if self._least is None or proof.share is None:
            return False
        return proof.notices_nothing or proof.share * 100 < self._least

    def _sums(self) -> None:
        tried = [run for run in self.runs if run.verdicts]
        if self._coverage:
            for run in tried:
                self._missed(run.coverage)
        sums = [run.coverage for run in tried]
        steps = sum(len(each.steps) for each in sums)
        branches = sum(each.branches for each in sums)
        ran = steps - sum(len(each.unrun) for each in sums)
        seen = branches - sum(len(each.unseen) for each in sums)
        tests = sum(len(run.verdicts) for run in tried) + sum(map(len, self.python.values()))
        failed = self.failed
        parts = [f"{tests} tests", f"{failed} failed" if failed else "all passed"]
        if sums:
            parts.append(f"{ran} of {steps} steps and {seen} of {branches} branches reached")
        if without := [run.bot.name for run in self.runs if not run.bot.tests]:
            parts.append(f"without tests: {', '.join(without)}")
        self._output.note("; ".join(parts if tests else ["no tests were found", *parts[2:]]))

    def _missed(self, coverage: Coverage) -> None:
        for name in coverage.unrun:
            self._output.line(f"{coverage.bot}: no test runs {name}")
        for branch in coverage.unseen:
            self._output.line(f"{coverage.bot}: no test sees {branch}")

    def _test(self, name: str, passed: bool, seconds: float | None, faults: Sequence[str]) -> None:
        status = "succeeded" if passed else "failed"
        taken = "" if seconds is None else f"  {seconds * 1000:.0f} ms"
        self._line(f"  {MARKS[status]} {name}{taken}", status)
        for fault in faults:
            self._line(f"      {fault}", STYLES["failed"])

    def _line(self, text: str, style: str | None = None) -> None:
        if not self._output.as_json:
            self._output.line(text, STYLES.get(style or "", style))

    def _document(self) -> dict[str, Any]:
        return {
            "failed": self.failed,
            "problems": [problem.as_dict() for problem in self.faults],
            "bots": [_run_as_dict(run) for run in self.runs],
            "python": [
                {
                    "file": str(folder / each.name.partition("::")[0]),
                    "name": each.name,
                    "passed": each.passed,
                    "skipped": each.skipped,
                    "seconds": round(each.seconds, 4),
                    "message": each.message,
                }
                for folder, verdicts in self.python.items()
                for each in verdicts
            ],
        }


def _run_as_dict(run: Run) -> dict[str, Any]:
    told = {
        "bot": run.bot.name,
        "file": str(run.path),
        "tests": [_as_dict(each) for each in run.verdicts],
        "unrun": list(run.coverage.unrun),
        "unseen": list(run.coverage.unseen),
    }
    return told if run.proof is None else {**told, "proof": run.proof.as_dict(run.document)}


def _as_dict(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.case.name,
        "passed": verdict.passed,
        "faults": list(verdict.faults),
        "seconds": round(verdict.ending.seconds, 4) if verdict.ending else None,
    }
