"""One round of ``codex32 test``: tests of bot files, pytest for their Python, mutants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codex32.cli.context import Context

if TYPE_CHECKING:
    from codex32.cli.test_report import Report, Run
    from codex32.engine.reading.definition import Reader
    from codex32.kernel.bot import Bot
    from codex32.services.cases.python_tests import PythonTests
    from codex32.services.cases.trying import Trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command was asked for.

    Attributes:
      mutants: How many a bot; 0 for none.
    """

    paths: Sequence[Path]
    only: str | None
    exit_first: bool
    coverage: bool
    mutants: int
    seed: int
    least: int | None
    origin: str
    junit: Path | None

    def means(self, name: str) -> bool:
        """Whether a test of this name is asked for."""
        return self.only is None or self.only in name


async def try_files(obj: Context, files: Sequence[Path], wish: Wish, report: Report) -> None:
    """Run the tests of ``files``; what came of it is in the report."""
    from codex32.cli.stage import stage
    from codex32.engine.reading.definition import Reader

    reader = Reader(obj.plugins.components, [obj.plugins.check_bot])
    bots: dict[Path, list[Bot]] = {}
    for path in files:
        reading = reader.read_path(path)
        report.problems(reading.problems)
        bots[path] = reading.bots
    async with stage(obj, wish.origin) as trials:
        if not await _cases(trials, bots, wish, report):
            return
        tests = list(_python_tests(files, wish))
        for each in tests:
            await _python(trials, each, _of_folder(bots, each.folder), wish, report)
        if wish.mutants:
            await _mutants(obj, trials, reader, tests, wish, report)


async def _cases(trials: Trials, bots: dict[Path, list[Bot]], wish: Wish, report: Report) -> bool:
    """Whether one may go on."""
    from codex32.services.cases.case import cases_of

    for path, bot in ((path, bot) for path, each in bots.items() for bot in each):
        report.bot(path, bot)
        for case in cases_of(bot):
            if not wish.means(f"{bot.name} {case.name}"):
                continue
            verdict = await trials.run(case)
            report.verdict(verdict)
            if wish.exit_first and not verdict.passed:
                return False
    return True


def _python_tests(files: Sequence[Path], wish: Wish) -> Iterator[PythonTests]:
    """The tests of Python beside the bot files; of a file that was named, the one of its name."""
    from codex32.services.cases.python_tests import PythonTests, python_test_file

    named = {path for path in wish.paths if path.is_file()}
    for folder in dict.fromkeys(path.parent for path in files):
        here = [path for path in files if path.parent == folder]
        whole = any(path not in named for path in here)
        only = None if whole else [python_test_file(path.name) for path in here]
        if (found := PythonTests.in_folder(folder, only)).tests:
            yield found


async def _python(
    trials: Trials, tests: PythonTests, bots: Sequence[Bot], wish: Wish, report: Report
) -> None:
    from codex32.services.cases.python_tests import run_python_tests

    verdicts = await run_python_tests(tests, bots, trials.programs, origin=trials.origin)
    report.python_verdicts(tests.folder, [each for each in verdicts if wish.means(each.name)])


async def _mutants(
    obj: Context,
    trials: Trials,
    reader: Reader,
    tests: Sequence[PythonTests],
    wish: Wish,
    report: Report,
) -> None:
    from codex32.services.cases.proving import prove
    from codex32.services.cases.suite import Suite

    if report.failed:
        obj.output.note("mutants tell nothing while tests fail")
        return
    by_folder = {each.folder: each for each in tests}
    for run in report.runs:
        if not run.bot.tests:
            continue
        if not wish.means(run.bot.name):
            report.unproved(run)
            continue
        python = by_folder.get(run.path.parent)
        names = [each.name for each in report.python.get(run.path.parent, ())]
        suite = Suite(run.bot, trials, python, _neighbours(report.runs, run), names)
        with obj.output.progress(f"mutants of {run.bot.name}", wish.mutants + 1) as advance:
            proof = await prove(
                run.bot, suite.tried, reader, seed=wish.seed, most=wish.mutants, advance=advance
            )
        report.proof(run, proof)


def _of_folder(bots: dict[Path, list[Bot]], folder: Path) -> list[Bot]:
    return [bot for path, each in bots.items() if path.parent == folder for bot in each]


def _neighbours(runs: Sequence[Run], run: Run) -> list[Bot]:
    folder = run.path.parent
    return [each.bot for each in runs if each.path.parent == folder and each is not run]
