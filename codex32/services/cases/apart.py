"""Tests in a process of their own, for processes that serve: rows are bound to one database each.

The process is ``codex32 test``; what it prints as JSON is what comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex32.kernel.errors import Codex32Error
from codex32.kernel.problems import Problem
from codex32.services.cases.mutants import MOST
from codex32.services.cases.python_tests import python_test_file

#: Characters of what a process that failed says.
_LONGEST = 2000


class TrialsFailed(Codex32Error):
    """Tests could not be run at all; the message says why."""

    code = "trials-failed"


@dataclass(frozen=True, slots=True)
class Report:
    """What ``codex32 test --json`` told of one bot.

    Attributes:
      problems: Of the bot file; there are no tests then.
      tests: ``{"name", "passed", "faults", "seconds"}`` each.
      python: ``{"name", "passed", "message", "seconds"}`` each, of pytest.
      unrun: Steps that no test runs.
      unseen: Branches that no test sees: ``"stop if true"``.
      proof: As :meth:`codex32.services.cases.proving.Proof.as_dict`; None where mutants were not
        asked for, or a test failed.
    """

    problems: Sequence[Mapping[str, Any]]
    tests: Sequence[Mapping[str, Any]]
    python: Sequence[Mapping[str, Any]]
    unrun: Sequence[str]
    unseen: Sequence[str]
    proof: Mapping[str, Any] | None

    @property
    def passed(self) -> bool:
        """Whether there are tests, and all of them passed."""
        told = [*self.tests, *self.python]
        return bool(told) and not self.problems and all(each["passed"] for each in told)

    @property
    def faults(self) -> list[str]:
        """Those of the bot file in words, each with its place."""
        return [str(Problem(each["message"], each["path"])) for each in self.problems]


async def try_apart(
    name: str,
    text: str,
    *,
    python: str | None = None,
    mutants: int = MOST,
    seed: int = 0,
    origin: str = "builder",
    project: Path,
    timeout_seconds: float = 300.0,
) -> Report:
    """Run the tests of a bot that is nowhere stored, and hold them against mutants.

    Args:
      name: The bot's.
      text: Its file, tests and all.
      python: Text of pytest for its Python; None where it has none.
      mutants: How many; 0 for none.
      seed: Which ones.
      origin: Who wrote it: ``builder`` for a model, else ``file``.
      project: The project folder, whose settings and plugins hold.
      timeout_seconds: Of the whole; then the process and what it started are killed.

    Raises:
      TrialsFailed: It took too long, or the process failed.
    """
    files = {f"{name}.yaml": text}
    if python is not None:
        files[python_test_file(f"{name}.yaml")] = python
    folder = await asyncio.to_thread(_folder_of, files)
    chosen = ["--mutants", "--most", str(mutants), "--seed", str(seed)] if mutants else []
    command = ["test", folder, "--json", "--origin", origin, *chosen]
    try:
        told = await _run([sys.executable, "-m", "codex32", *command], project, timeout_seconds)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    (of_bot,) = told["bots"] or [{"tests": [], "unrun": [], "unseen": []}]
    return Report(
        told["problems"],
        of_bot["tests"],
        told["python"],
        of_bot["unrun"],
        of_bot["unseen"],
        of_bot.get("proof"),
    )


def _folder_of(files: Mapping[str, str]) -> str:
    folder = tempfile.mkdtemp(prefix="codex32-bot-")
    for name, text in files.items():
        Path(folder, name).write_text(text, encoding="utf-8")
    return folder


async def _run(command: Sequence[str], project: Path, timeout_seconds: float) -> Any:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=project,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            out, err = await process.communicate()
    except TimeoutError:
        message = f"the tests were not done within {timeout_seconds:g} s"
        raise TrialsFailed(message) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    try:
        return json.loads(out)
    except ValueError:
        said = err.decode(errors="replace").strip()[-_LONGEST:]
        raise TrialsFailed(f"the tests could not be run: {said}") from None
