"""pytest for the Python of bots: in a sandbox, with no network and nothing of this machine.

Tests stand in files ``test_*.py`` beside the bot files, and run under plain pytest as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from codex32.kernel.bot import Bot
from codex32.kernel.contracts.program import (
    FileGrant,
    Program,
    ProgramHost,
    ProgramResult,
    ProgramRunner,
)
from codex32.kernel.errors import BotInvalid
from codex32.kernel.problems import Problem

#: What pytest is made of; what is not there it does without.
_PARTS: Final = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")
_SECONDS: Final = 60.0
#: Bytes of all files of a folder together.
_LARGEST: Final = 4 * 1024 * 1024
_DRIVER: Final = Path(__file__).with_name("pytest_driver.py")


@dataclass(frozen=True, slots=True)
class PythonTests:
    """The tests of one folder, and the files that they may import.

    Attributes:
      tests: Text of ``test_*.py``, by name.
      modules: Text of the other Python files.
    """

    folder: Path
    tests: Mapping[str, str]
    modules: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def in_folder(cls, folder: Path, only: Iterable[str] | None = None) -> PythonTests:
        """What lies in a folder; ``only`` names the test files that are meant.

        Raises:
          BotInvalid: It is too much, or cannot be read.
        """
        files = sorted(path for path in folder.glob("*.py") if path.is_file())
        if sum(path.stat().st_size for path in files) > _LARGEST:
            raise BotInvalid(f"{folder} holds more than {_LARGEST // 2**20} MiB of Python", ())
        try:
            texts = {path.name: path.read_text(encoding="utf-8") for path in files}
        except (OSError, UnicodeDecodeError) as error:
            raise BotInvalid(f"{folder}: a Python file cannot be read: {error}", ()) from None
        tests = {name for name in texts if is_test_file(name)}
        wanted = tests if only is None else tests & set(only)
        return cls(
            folder,
            {name: texts[name] for name in sorted(wanted)},
            {name: text for name, text in texts.items() if name not in tests},
        )


@dataclass(frozen=True, slots=True)
class PythonVerdict:
    """What came of one test.

    Attributes:
      name: As pytest tells it: ``test_digest.py::test_titles``.
      message: What it said, where it failed or was skipped.
      skipped: Whether it was passed over; it counts as passed.
    """

    name: str
    passed: bool
    seconds: float = 0.0
    message: str = ""
    skipped: bool = False


def is_test_file(name: str) -> bool:
    """Whether a file's name is that of tests."""
    return name.startswith("test_") and name.endswith(".py")


def pytest_is_there() -> bool:
    """Whether tests of Python can be run here."""
    return all(find_spec(name) is not None for name in _PARTS[:2])


def python_test_file(bot_file: str) -> str:
    """The test file that is meant where a bot file is named: ``test_feed_digest.py``."""
    return f"test_{Path(bot_file).stem.replace('-', '_')}.py"


async def run_python_tests(
    tests: PythonTests,
    bots: Sequence[Bot],
    programs: ProgramRunner,
    *,
    origin: str = "file",
    timeout_seconds: float = _SECONDS,
) -> list[PythonVerdict]:
    """Run them in a sandbox.

    A file that cannot be collected, and a run that comes to no end, is a test that failed.

    Args:
      tests: What to run.
      bots: Those of the folder, whose steps the tests may ask for.
      programs: Runs programs.
      origin: Who wrote tests and code, as programs know it.
      timeout_seconds: Of the whole run.

    Raises:
      BotInvalid: pytest is not installed here.
    """
    program = await asyncio.to_thread(_program, tests, bots, origin, timeout_seconds)
    result = await programs.run(program, ProgramHost(on_line=lambda stream, line: None))
    return _verdicts(result, next(iter(tests.tests), "pytest"))


def _program(
    tests: PythonTests, bots: Sequence[Bot], origin: str, timeout_seconds: float
) -> Program:
    parts = [_place(name) for name in _PARTS]
    if parts[0] is None or parts[1] is None:
        problem = Problem("tests of Python need pytest; install it beside codex32")
        raise BotInvalid("pytest is not installed:", [problem])
    found = [part for part in parts if part is not None]
    steps: dict[str, dict[str, str]] = {}
    modules = dict(tests.modules)
    for bot in bots:
        for name, code, file in python_of(bot):
            steps.setdefault(bot.name, {})[name] = code
            if file in modules:
                modules[file] = code
    args = {
        "tests": dict(tests.tests),
        "modules": modules,
        "steps": steps,
        "packages": sorted({str(part.parent) for part in found}),
    }
    return Program(
        code=_DRIVER.read_text(encoding="utf-8"),
        args=args,
        file="<pytest>",
        timeout_seconds=timeout_seconds,
        origin=origin,
        files=tuple(FileGrant(str(part)) for part in found),
    )


def _verdicts(result: ProgramResult, name: str) -> list[PythonVerdict]:
    if result.error is not None:
        message = "\n".join(filter(None, (result.error, result.traceback)))
        return [PythonVerdict(name, passed=False, message=message)]
    verdicts = [PythonVerdict(**each) for each in result.output["tests"]]
    return verdicts or [PythonVerdict(name, passed=False, message="it holds no tests")]


def python_of(bot: Bot) -> list[tuple[str, str, str | None]]:
    """Id, code and file of the steps that are Python."""
    found = []
    for step in (*bot.steps, *bot.on_failure, *bot.finally_):
        if step.type == "python" and isinstance(code := step.params.get("code"), str):
            file = step.params.get("file")
            found.append((step.id, code, file if isinstance(file, str) else None))
    return found


def _place(name: str) -> Path | None:
    """The folder or file of an installed module, where it really is."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).resolve()
    return path.parent if path.name == "__init__.py" else path
