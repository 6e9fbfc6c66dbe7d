"""Runs pytest inside a sandbox; this file's text is the program, and knows nothing of the house.

The tests get a fixture ``step_main``, the same that ``codex32-testing`` gives them under plain
pytest.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Characters of what a failed test says.
_LONGEST = 4000


def main(
    tests: dict[str, str],
    modules: dict[str, str],
    steps: dict[str, dict[str, str]],
    packages: list[str],
) -> dict[str, Any]:
    """What came of the tests.

    Args:
      tests: Text of test files, by name.
      modules: Text of what they may import, by name.
      steps: Code of steps, by bot and step.
      packages: Folders in which pytest lies.

    Returns:
      ``tests``: ``name``, ``passed``, ``seconds``, ``message`` and ``skipped`` each; files that
      could not be collected are among them, under their names.
    """
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    sys.dont_write_bytecode = True
    sys.path += packages
    for name, text in (modules | tests).items():
        Path(name).write_text(text, encoding="utf-8")
    sys.path.insert(0, str(Path.cwd()))
    import pytest

    class Listener:
        def __init__(self) -> None:
            self.tests: list[dict[str, Any]] = []

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.when != "call" and not report.failed and not report.skipped:
                return
            # What was expected to fail, and did, is reported as skipped, too.
            skipped = report.skipped and not hasattr(report, "wasxfail")
            message = _said(report) if report.failed or skipped else ""
            self._tell(report.nodeid, report.failed, skipped, report.duration, message)

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed or report.skipped:
                name = report.nodeid or "pytest"
                self._tell(name, report.failed, report.skipped, 0.0, _said(report))

        def _tell(
            self, name: str, failed: bool, skipped: bool, seconds: float, message: str
        ) -> None:
            if self.tests and self.tests[-1]["name"] == name:  # it failed while it ended
                seconds += self.tests.pop()["seconds"]
            told = {"name": name, "passed": not failed, "skipped": skipped}
            self.tests.append({**told, "seconds": seconds, "message": message})

        @pytest.fixture
        def step_main(self) -> Callable[[str, str], Callable[..., Any]]:
            return lambda bot, step: _main_of(steps, bot, step)

    listener = Listener()
    alone = [f"no:{name}" for name in ("cacheprovider", "faulthandler", "pastebin", "junitxml")]
    args = ["-q", "--rootdir=.", "-c", os.devnull, "--capture=sys"]
    args.append("--continue-on-collection-errors")  # one file says nothing about the others
    for name in alone:
        args += ["-p", name]
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main([*args, *tests], plugins=[listener])
    return {"tests": listener.tests}


def _main_of(steps: dict[str, dict[str, str]], bot: str, step: str) -> Callable[..., Any]:
    code = steps.get(bot, {}).get(step)
    if code is None:
        there = ", ".join(f"{name}.{each}" for name in steps for each in steps[name]) or "none"
        raise LookupError(f"no bot {bot!r} here has a Python step {step!r}; there is {there}")
    path = Path(f".{bot}.{step}.py")
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(step, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    called: Callable[..., Any] = module.__dict__["main"]
    return called


def _said(report: Any) -> str:
    text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else report.longreprtext
    return text if len(text) <= _LONGEST else f"...{text[3 - _LONGEST :]}"
