"""Holding a draft against its own tests, and those against faults that are planted in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codex32.services.building.session import Proof
from codex32.services.cases.apart import Report, TrialsFailed, try_apart
from codex32.services.cases.python_tests import pytest_is_there

#: Faults that are planted in a draft.
MUTANTS = 20
#: Lines of a failed pytest that models and people are shown.
_LINES = 12


async def prove(name: str, text: str, python: str, *, project: Path) -> Proof:
    """What the tests of a draft show, in a process of their own with nothing outside.

    Args:
      name: The bot's.
      text: Its file, tests and all.
      python: pytest for its Python; empty where it has none. Where pytest is not installed here,
        it is not run.
      project: The project folder, whose settings hold.

    Raises:
      TrialsFailed: They took too long, or could not be run.
    """
    run = python if python and pytest_is_there() else None
    return proof_of(await try_apart(name, text, python=run, mutants=MUTANTS, project=project))


def proof_of(report: Report) -> Proof:
    """What a report of ``codex32 test`` shows.

    Raises:
      TrialsFailed: No test was run, as the file has faults.
    """
    if report.problems:  # where no test ran, none failed
        raise TrialsFailed(f"the tests could not be run: {'; '.join(report.faults)}")
    tests = [
        {"name": each["name"], "passed": each["passed"], "faults": list(each["faults"])}
        for each in report.tests
    ]
    tests += [
        {"name": each["name"], "passed": each["passed"], "faults": _last_lines(each["message"])}
        for each in report.python
    ]
    python_names = [str(each["name"]) for each in report.python]
    if (proof := report.proof) is None:
        return Proof(tests, python_names)
    survivors = [_told(each) for each in proof["mutants"] if not each["killers"]]
    return Proof(
        tests, python_names, proof["idle"], len(proof["mutants"]), proof["killed"], survivors
    )


def _last_lines(message: str) -> list[str]:
    """Of what pytest says, the end: there it tells what is wrong."""
    return message.strip().splitlines()[-_LINES:]


def _told(mutant: Mapping[str, Any]) -> str:
    return f"{mutant['path'] or 'the bot'}: {mutant['what']}"
