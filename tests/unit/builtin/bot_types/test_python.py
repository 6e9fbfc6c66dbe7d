import math
from datetime import timedelta

import pytest

from codex32 import Allow, Cause, ProgramResult, Succeeded
from codex32.builtin.bot_types.python import PythonBotType

GOOD = "def main(a):\n    return a\n"


@pytest.fixture
def python():
    return PythonBotType()


async def test_what_main_returns_is_the_output(python, context):
    context.program_result = ProgramResult(output=[1])
    assert await python.run(context, {"code": GOOD, "args": {"a": 1}}) == Succeeded([1])
    (program,) = context.programs
    assert (program.code, program.args, program.file) == (GOOD, {"a": 1}, "<fetch>")


async def test_how_long_a_program_may_run_is_the_engines_to_say(python, context, clock):
    # Whatever clock the house goes by, as ``codex32 test`` has one that stands still.
    context.deadline_at = clock.now() + timedelta(seconds=60)
    await python.run(context, {"code": GOOD})
    (program,) = context.programs
    assert math.isinf(program.timeout_seconds)


async def test_a_file_gives_its_name_to_the_traceback(python, context):
    await python.run(context, {"code": GOOD, "file": "lib/work.py"})
    assert context.programs[0].file == "lib/work.py"


async def test_what_it_requires_goes_along(python, context):
    params = {"code": GOOD, "requires": ["httpx==0.28.1", "Pillow[x] == 12.0"]}
    assert python.check({**params, "requires": ["httpx==0.28.1", "pillow[x]==12.0"]}) == []
    await python.run(context, params)
    assert context.programs[0].requires == ("httpx==0.28.1", "Pillow[x] == 12.0")


@pytest.mark.parametrize(
    ("code", "allow", "foreign"),
    [
        (GOOD, Allow(), False),
        (f"from codex32_step import log\n{GOOD}", Allow(), False),
        (f"from codex32_step import state\n{GOOD}", Allow(), True),
        (f"import codex32_step as step\n{GOOD}x = step.state", Allow(), True),
        (GOOD, Allow(hosts=("example.com",)), True),
        (GOOD, Allow(files=("/data",)), True),
    ],
    ids=["plain", "log", "state", "module", "hosts", "files"],
)
def test_what_code_reads_beside_its_arguments_may_be_a_strangers(python, code, allow, foreign):
    assert python.foreign({"code": code}, allow) is foreign


async def test_its_runtime_goes_along(python, context):
    await python.run(context, {"code": GOOD})
    await python.run(context, {"code": GOOD, "runtime": "fast"})
    assert [each.runtime for each in context.programs] == ["cpython", "fast"]


@pytest.mark.parametrize(
    ("code", "retryable", "cause"),
    [
        ("raised", True, Cause.ERROR),
        ("killed", True, Cause.ERROR),
        ("timeout", True, Cause.TIMEOUT),
        ("no-main", False, Cause.ERROR),
        ("packages", False, Cause.ERROR),
        ("packages-unavailable", True, Cause.ERROR),
        ("not-json", False, Cause.ERROR),
    ],
)
async def test_a_fault_keeps_its_traceback(python, context, code, retryable, cause):
    context.program_result = ProgramResult(error="ValueError: x", traceback="line 1", code=code)
    outcome = await python.run(context, {"code": GOOD})
    assert (outcome.message, outcome.code) == ("ValueError: x", code)
    assert (outcome.retryable, outcome.cause) == (retryable, cause)
    assert outcome.detail == {"traceback": "line 1"}


@pytest.mark.parametrize(
    "code",
    [
        GOOD,
        "async def main(): ...",
        "if True:\n    def main(): ...",
        "main = print",
        "from os import getcwd as main",
        "from os.path import *",
        'def main():\n    return "\\d"',
    ],
)
def test_code_with_a_main_is_fine(python, code):
    assert python.check({"code": code}) == []


@pytest.mark.parametrize(
    ("params", "path", "message"),
    [
        ({"code": "def main(:\n"}, "code", "line 1"),
        ({"code": "x = 1\ny = = 2\n"}, "code", "line 2"),
        ({"code": "def other(): ..."}, "code", "main"),
        ({"code": "import main2 as other"}, "code", "main"),
        ({}, "", "`code` or `file`"),
        ({"code": GOOD, "requires": ["a==1", "httpx"]}, "requires.1", "one exact version"),
        ({"code": GOOD, "requires": ["httpx>=1"]}, "requires.0", "one exact version"),
        ({"code": 'def main(): return "${{ inputs.x }}"'}, "code", "args"),
        ({"code": "#" * 300_000}, "code", "256 KiB"),
    ],
)
def test_faults_of_code_are_found_when_the_file_is_read(python, params, path, message):
    (problem,) = python.check(params)
    assert problem.path == path
    assert message in problem.message


@pytest.mark.parametrize(
    "code",
    [
        "-" * 100_000 + "1",
        "(" * 1000,
        "a" + ".b" * 100_000,
        "lambda:" * 20_000 + "1",
        "1+" * 60_000 + "1",
        "if x: pass\n" + "elif x: pass\n" * 10_000,
        "a\0b",
        "a = '\ud800'",
    ],
    ids=["minus", "brackets", "attributes", "lambda", "plus", "elif", "nul", "surrogate"],
)
def test_monstrous_code_is_a_fault_and_nothing_worse(python, code):
    (problem,) = python.check({"code": code})
    assert problem.code == "syntax"


def test_checking_runs_nothing(python, tmp_path):
    canary = tmp_path / "canary"
    touch = f"open({str(canary)!r}, 'w')"
    python.check(
        {
            "code": f"""
{touch}
@{touch}
class A(metaclass={touch}):
    {touch}
    f"{{{touch}}}"
def main(a={touch}) -> {touch}: ...
"""
        }
    )
    assert not canary.exists()


def test_a_file_beside_the_bot_becomes_its_code(python):
    assert python.inlined_files == {"file": "code"}
    assert python.check({"file": "work.py"}) == []
