import asyncio
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from codex32 import Program, ProgramHost, ProgramResult
from codex32.outside.sandboxes import folders
from codex32.outside.sandboxes.choice import SandboxRules
from codex32.outside.sandboxes.linux import NamespaceSandbox, PlainSandbox, ProcessSandbox
from codex32.outside.sandboxes.runner import SandboxedRunner

SANDBOXES = {each.name: each for each in (PlainSandbox, ProcessSandbox, NamespaceSandbox)}
#: For what must be seen from outside.
in_plain = pytest.mark.parametrize("sandbox", ["plain"], indirect=True)


#: Cells that may be made ready, or not yet, whenever one counts descriptors.
WARM = 2


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where the programs' directories lie during a test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(params=list(SANDBOXES))
async def sandbox(request, temporary):
    sandbox = SANDBOXES[request.param]()
    yield sandbox
    await sandbox.close()


class Runner:
    """Runs programs with a function that takes their lines."""

    def __init__(self, sandbox):
        self.sandbox = sandbox

    async def run(self, program, on_line):
        return await self.sandbox.run(program, ProgramHost(on_line))


@pytest.fixture
def runner(sandbox):
    return Runner(sandbox)


@pytest.fixture
def run(runner):
    """Runs code; what it wrote is kept in ``run.lines``."""

    async def run_code(code, *, limits=None, **args) -> ProgramResult:
        run_code.lines = []
        return await runner.run(
            Program(code, args, file="bot.py", **(limits or {})),
            lambda stream, line: run_code.lines.append((stream, line)),
        )

    return run_code


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int) -> bool:
    """Whether a process has ended within some seconds."""
    for _ in range(500):
        if not alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descendants(pid: int) -> list[int]:
    found = []
    with suppress(OSError):  # it ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return [*found, *(each for child in found for each in descendants(child))]


def children() -> set[str]:
    found = set()
    for thread in Path("/proc/self/task").iterdir():
        found |= set((thread / "children").read_text().split())
    return found


# answers


@pytest.mark.parametrize(
    "value",
    [None, True, 7, -1.5, "ä\ud800", [1, [2]], {"a": {"b": []}}],
    ids=repr,
)
async def test_arguments_come_in_and_answers_go_out_as_json(run, value):
    result = await run("def main(x): return x", x=value)
    assert result == ProgramResult(output=value)


async def test_what_a_program_says_in_passing_is_bounded_as_a_whole(run):
    code = (
        "import codex32_step as c\ndef main():\n for n in range(40): c.log('x', a='x' * 1_000_000)"
    )
    result = await run(code)
    assert (result.code, result.output) == ("too-long", None)
    assert "log lines and state" in result.error


async def test_main_may_be_async(run):
    code = """
        import asyncio
        async def main():
            await asyncio.sleep(0)
            return "done"
    """
    result = await run("\n".join(line[8:] for line in code.splitlines()))
    assert result.output == "done"


async def test_classes_of_a_program_know_where_they_live(run):
    code = """
from __future__ import annotations
import dataclasses, pickle

@dataclasses.dataclass
class Page:
    title: str

def main():
    return dataclasses.asdict(pickle.loads(pickle.dumps(Page("x"))))

if __name__ == "__main__":
    raise SystemExit("run as a script")
"""
    assert await run(code) == ProgramResult(output={"title": "x"})


async def test_large_arguments_and_answers_fit(run):
    result = await run("def main(x): return [x, x]", x="ä" * 1_000_000)
    assert result.output == ["ä" * 1_000_000] * 2


@pytest.mark.parametrize(
    ("code", "error", "word"),
    [
        ("x = 1", "`main`", "no-main"),
        ("main = 3", "`main`", "no-main"),
        ("def main(:", "SyntaxError", "syntax"),
        ("a\0", "null bytes", "syntax"),
        ("(" * 5000, "parentheses", "syntax"),
        ("-" * 100_000 + "1", "MemoryError", "syntax"),
        ("def main(): return {1}", "set", "not-json"),
        ("def main(): return float('inf')", "main must return JSON", "not-json"),
        ("def main():\n a = []\n a.append(a)\n return a", "Circular", "not-json"),
        ("def main(): return 'x' * 2000", "2013 bytes", "too-long"),
        ("def main(a): ...", "'a'", "raised"),
        ("import sys\ndef main(): sys.exit('enough')", "SystemExit: enough", "raised"),
        ("def main(): raise KeyboardInterrupt", "KeyboardInterrupt", "raised"),
        ("class E(Exception):\n def __str__(s): 1/0\ndef main(): raise E", "E", "raised"),
        ("import os\ndef main(): os._exit(0)", "exit code 0", "killed"),
        ("import os\ndef main(): os._exit(3)", "exit code 3", "killed"),
        ("import os\ndef main(): os.abort()", "SIGABRT", "killed"),
        ("import os\ndef main(): os.kill(os.getpid(), 9)", "SIGKILL", "killed"),
    ],
)
async def test_each_fault_has_its_word(run, code, error, word):
    result = await run(code, limits={"max_output_bytes": 1000})
    assert (result.code, result.output) == (word, None)
    assert error in result.error


async def test_leaving_in_peace_is_an_answer(run):
    assert await run("import sys\ndef main(): sys.exit()") == ProgramResult(output=None)


async def test_a_traceback_tells_the_authors_own_lines(run):
    code = (
        "import json\n\n"
        "def main(text):\n"
        "    return parse(text)\n\n"
        "def parse(text):\n"
        "    try:\n"
        "        return json.loads(text)\n"
        "    except ValueError as error:\n"
        "        raise RuntimeError('no entries') from error\n"
    )
    result = await run(code, text="{")
    assert result.error == "RuntimeError: no entries"
    assert '  File "bot.py", line 4, in main\n    return parse(text)\n' in result.traceback
    assert '  File "bot.py", line 8, in parse\n' in result.traceback
    assert "codex32_sandbox" not in result.traceback


@pytest.mark.parametrize(
    ("code", "error", "last"),
    [
        ("def main():\n raise ValueError('one\\ntwo')", "ValueError: one", "two"),
        (
            "def main():\n error = ValueError('one')\n error.add_note('two')\n raise error",
            "ValueError: one",
            "two",
        ),
        (
            "import asyncio\nasync def main():\n await asyncio.gather(part())\n"
            "async def part():\n await asyncio.sleep(0)\n raise ValueError('one')",
            "ValueError: one",
            "  File \"bot.py\", line 6, in part\n    raise ValueError('one')\nValueError: one",
        ),
        (
            "from codex32_step import log\n\ndef main():\n log('x', a={1})",
            "TypeError: Object of type set is not JSON serializable",
            "  File \"bot.py\", line 4, in main\n    log('x', a={1})\n"
            "TypeError: Object of type set is not JSON serializable",
        ),
        (
            "from codex32_step import log\n\ndef main():\n try:\n  log('x', a={1})\n"
            " except TypeError as error:\n  raise ExceptionGroup('two', [error, KeyError(1)])",
            "ExceptionGroup: two (2 sub-exceptions)",
            "    | KeyError: 1\n    +------------------------------------",
        ),
    ],
    ids=["lines", "note", "async", "of the house", "group"],
)
async def test_an_error_is_named_and_found_in_the_authors_own_lines(run, code, error, last):
    result = await run(code)
    assert result.error == error
    assert result.traceback.rstrip().endswith(last)
    assert str(Path.cwd()) not in result.traceback
    assert "codex32" not in result.traceback.replace("codex32_step", "", 1)


async def test_a_traceback_that_a_program_prints_has_its_lines(run):
    result = await run(
        "import traceback\n\ndef main():\n    try:\n        {}['a']\n"
        "    except KeyError:\n        traceback.print_exc()\n"
    )
    assert (result.error, run.lines[2]) == (None, ("stderr", "    {}['a']"))


async def test_what_a_program_made_of_its_streams_does_not_cost_its_answer(run):
    for made in ("None", "object()", "type('Odd', (), {'flush': lambda self: 1 / 0})()"):
        result = await run(f"import sys\ndef main():\n sys.stdout = {made}\n return 1")
        assert (result.error, result.output) == (None, 1)


async def test_a_fault_is_told_when_nothing_can_be_imported_any_more(run):
    result = await run("import sys\ndef main():\n sys.modules.clear()\n raise ValueError('x')")
    assert result.code == "raised"
    assert result.error.startswith("ValueError")


@pytest.mark.parametrize("said", ["log", "secret"])
async def test_what_is_too_long_to_be_said_is_a_fault_of_that_line(run, said):
    result = await run(f"from codex32_step import {said}\ndef main():\n {said}('x' * 2_000_000)")
    assert re.fullmatch(r"ValueError: \w+: \d+ bytes; at most 1048576 are taken", result.error)
    assert f"    {said}('x' * 2_000_000)\n" in result.traceback


async def test_a_syntax_fault_tells_its_line(run):
    result = await run("x = 1\ny = = 2\n")
    assert 'File "bot.py", line 2' in result.traceback


async def test_endless_recursion_is_an_ordinary_fault(run):
    result = await run("def main(): return main()")
    assert result.code == "raised"
    assert result.error.startswith("RecursionError")
    assert len(result.traceback) <= 16_000


# lines


async def test_lines_are_handed_on_by_stream(run):
    code = """
import os, sys
def main():
    print("one\\ntwo")
    print("ä\\ud800", file=sys.stderr)
    os.write(1, b"\\xff\\r\\n")
    os.write(2, b"no newline")
"""
    await run(code)
    assert [line for stream, line in run.lines if stream == "stdout"] == ["one", "two", "�"]
    assert [line for stream, line in run.lines if stream == "stderr"] == [
        "ä\\ud800",
        "no newline",
    ]


async def test_lines_come_while_the_program_runs(runner):
    code = """
import os, time
def main():
    print("started")
    while not os.path.exists("/tmp/never"):
        time.sleep(0.01)
"""
    seen = asyncio.Event()
    running = asyncio.ensure_future(
        runner.run(Program(code), lambda stream, line: seen.set() if line == "started" else None)
    )
    await asyncio.wait_for(seen.wait(), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_long_line_is_whole_and_a_flood_is_capped(runner):
    lines = []
    runner.sandbox._max_line_bytes = 300_000
    code = "def main():\n print('x' * 150_000)\n print('y\\n' * 1_000_000)\n return 1"
    result = await runner.run(Program(code), lambda stream, line: lines.append(line))
    assert result.output == 1
    assert lines[0] == "x" * 150_000
    assert lines[-1] == "[more output was left out]"
    assert sum(len(line) + 1 for line in lines[:-1]) <= 300_100


async def test_a_flood_of_short_lines_is_capped_too(run):
    await run("def main():\n print('y\\n' * 400_000)")
    assert run.lines[-1] == ("stdout", "[more output was left out]")
    assert len(run.lines) == 10_001


async def test_silence_is_no_line(run):
    await run("def main(): ...")
    assert run.lines == []


# limits


@in_plain
async def test_time_ends_the_program_and_its_children(run, tmp_path):
    code = """
import os, subprocess, sys, time
def main(file):
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(100)"])
    open(file, "w").write(str(child.pid))
    while True: pass
"""
    result = await run(code, limits={"timeout_seconds": 2.0}, file=str(tmp_path / "pid"))
    assert (result.code, result.error) == ("timeout", "not done within 2 s")
    assert await gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("ends", ["return", "loop", "crash"])
@in_plain
async def test_a_child_that_left_the_session_is_found_and_ended(run, tmp_path, ends):
    code = """
import os, time
def main(file, ends):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write, str(os.getpid()).encode())
            time.sleep(100)
        os._exit(0)
    open(file, "wb").write(os.read(read, 20))
    while ends == "loop": pass
    if ends == "crash": os.abort()
"""
    await run(code, limits={"timeout_seconds": 2.0}, file=str(tmp_path / "pid"), ends=ends)
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_processor_time_is_limited(run):
    result = await run("def main():\n while True: pass", limits={"cpu_seconds": 1})
    assert (result.code, "processor time" in result.error) == ("killed", True)


async def test_memory_is_limited(run):
    code = "def main(): return len(bytearray(200 * 1024 * 1024))"
    small = await run(code, limits={"memory_bytes": 128 * 1024 * 1024})
    assert (small.code, small.error) == ("raised", "MemoryError")
    assert (await run(code)).output == 200 * 1024 * 1024


async def test_files_are_limited(run):
    code = "def main():\n with open('x', 'wb') as f: f.write(bytes(200_000))"
    result = await run(code, limits={"disk_bytes": 100_000})
    assert result.code == "raised"
    assert re.search("File too large|No space left", result.error)


@in_plain
async def test_cancelling_ends_the_program(runner, temporary):
    await runner.run(Program("def main(): ..."), print)
    descriptors, pids = len(os.listdir("/proc/self/fd")), []
    started = asyncio.Event()

    def on_line(stream, line):
        pids.append(int(line))
        started.set()

    code = "import os, time\ndef main():\n print(os.getpid())\n time.sleep(100)"
    running = asyncio.ensure_future(runner.run(Program(code), on_line))
    await asyncio.wait_for(started.wait(), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not alive(pids[0])
    assert list(temporary.iterdir()) == []
    # A cell that waits holds two: the line to it, and the pipe on which its end is told.
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2 * WARM


async def test_cancelling_while_the_program_is_being_started_leaves_nothing(runner, temporary):
    await runner.run(Program("def main(): ..."), print)
    descriptors, before = len(os.listdir("/proc/self/fd")), children()
    for turns in range(12):
        running = asyncio.ensure_future(runner.run(Program("def main(): ..."), print))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    # A cell that waits holds two: the line to it, and the pipe on which its end is told.
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2 * WARM
    assert children() <= before
    assert list(temporary.iterdir()) == []


@in_plain
async def test_a_keeper_that_is_stopped_does_not_hold_up_the_end(runner, tmp_path):
    code = f"""
import os, signal, time
def main():
    open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(100)
"""
    result = await runner.run(Program(code, timeout_seconds=1.0), print)
    assert result.code == "timeout"
    assert await gone(int((tmp_path / "pid").read_text()))


async def test_a_program_dies_with_its_worker(tmp_path):
    code = f"""
import os, time
def main():
    open({str(tmp_path / "new")!r}, "w").write(str(os.getpid()))
    os.rename({str(tmp_path / "new")!r}, {str(tmp_path / "pid")!r})
    time.sleep(100)
"""
    worker = f"""
import asyncio
from codex32 import Program
from codex32 import ProgramHost
from codex32.outside.sandboxes.linux import PlainSandbox
async def main():
    await PlainSandbox().run(Program({code!r}), ProgramHost(print))
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", worker], env={"TMPDIR": str(tmp_path)})
    try:
        async with asyncio.timeout(60):
            while not (tmp_path / "pid").exists():
                await asyncio.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert await gone(int((tmp_path / "pid").read_text()))


# the place


async def test_a_program_sees_nothing_of_the_worker(run, monkeypatch, temporary, sandbox):
    monkeypatch.setenv("CODEX32_SECRET_TOKEN", "sec-ret")
    code = """
import os, sys
def main():
    descriptors = []
    for number in range(100):
        try:
            os.fstat(number)
            descriptors.append(number)
        except OSError:
            pass
    return {
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "descriptors": descriptors,
        "modules": [name for name in sys.modules if name == "codex32" or "pydantic" in name],
        "site": [path for path in sys.path if "site-packages" in path],
        "path": sys.path,
        "input": sys.stdin.read(),
        "argv": sys.argv,
    }
"""
    seen = (await run(code)).output
    home = seen["directory"]
    apart = sandbox.name == "namespace"
    assert Path(home).parent == (Path("/") if apart else temporary)
    assert seen["environment"] == {
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": "/tmp" if apart else home,
    }
    # Its three streams, and its channel.
    assert seen["descriptors"] == [0, 1, 2, 3]
    assert (seen["modules"], seen["site"], seen["input"]) == ([], [], "")
    assert not [path for path in seen["path"] if "codex32" in path]
    assert seen["argv"] == ["bot.py"]


async def test_code_never_enters_this_process(run):
    before = set(sys.modules)
    await run("import sqlite3.dump, this\ndef main(): ...")
    assert {"this", "sqlite3.dump", "bot"}.isdisjoint(set(sys.modules) - before)


async def test_when_the_zygote_dies_a_program_is_over_before_it_is_called_so(sandbox, tmp_path):
    code = """
import time
def main():
    print("began")
    while True:
        time.sleep(0.01)
"""
    began = asyncio.Event()
    host = ProgramHost(lambda stream, line: began.set())
    running = asyncio.ensure_future(sandbox.run(Program(code, timeout_seconds=60.0), host))
    async with asyncio.timeout(60):
        await began.wait()
    zygote = sandbox._zygote._process.pid
    inside = await asyncio.to_thread(descendants, zygote)
    assert len(inside) >= 2
    os.kill(zygote, signal.SIGKILL)
    result = await running
    assert result.code == "killed"
    assert [pid for pid in inside if alive(pid) and comm(pid) == "codex32-program"] == []
    assert (await sandbox.run(Program("def main(): return 1"), ProgramHost(print))).output == 1


@in_plain
async def test_nothing_is_left_of_a_directory_that_was_closed(run, temporary):
    code = """
import os
def main():
    os.makedirs("a/b/c")
    open("a/b/c/file", "w").close()
    os.symlink("/etc", "a/link")
    os.chmod("a/b", 0)
    os.chmod("a", 0)
    os.chmod(".", 0o500)
"""
    assert (await run(code)).error is None
    assert list(temporary.iterdir()) == []


@in_plain
async def test_what_lies_around_a_directory_keeps_its_permissions(run, temporary):
    temporary.chmod(0o1777)
    await run("import os, shutil\ndef main(): shutil.rmtree(os.getcwd())")
    await run("def main(): ...", limits={"timeout_seconds": 0.0})
    await run("import os\ndef main():\n os.rmdir(os.getcwd())\n os.symlink('/', os.getcwd())")
    assert temporary.stat().st_mode & 0o7777 == 0o1777


async def test_programs_side_by_side_are_bounded_and_apart(sandbox):
    runner = SandboxedRunner({sandbox.name: sandbox}, SandboxRules(sandbox.name), max_parallel=2)
    inside, most = 0, 0

    def begin(_):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)

    async def run(n):
        nonlocal inside
        code = "import os, time\ndef main(n):\n time.sleep(0.05)\n return [n, os.getcwd()]"
        result = await runner.run(Program(code, {"n": n}), ProgramHost(print, begin))
        inside -= 1
        return result

    results = await asyncio.gather(*(run(n) for n in range(8)))
    assert [result.output[0] for result in results] == list(range(8))
    assert {result.sandbox for result in results} == {sandbox.name}
    assert most <= 2


async def test_a_program_that_comes_while_sandboxes_are_tried_runs_all_the_same(sandbox):
    runner = SandboxedRunner({sandbox.name: sandbox}, SandboxRules(sandbox.name))
    program = Program("def main(): return 1")
    result, _ = await asyncio.gather(runner.run(program, ProgramHost(print)), runner.prepare())
    assert (result.output, result.error) == (1, None)


@pytest.mark.timeout(300)
@in_plain
async def test_two_hundred_programs_leave_nothing_behind(runner, temporary):
    await runner.run(Program("def main(): ..."), print)
    descriptors, before = len(os.listdir("/proc/self/fd")), children()
    codes = ["def main(): return 1", "import os\ndef main(): os._exit(1)", "def main(): 1/0", "x"]
    for number in range(0, 200, 4):
        programs = [Program(codes[(number // 4 + i) % 4]) for i in range(4)]
        await asyncio.gather(*(runner.run(program, lambda *line: None) for program in programs))
    # A cell that waits holds two: the line to it, and the pipe on which its end is told.
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2 * WARM
    assert children() <= before
    assert list(temporary.iterdir()) == []


SURROUNDINGS = """
import os, resource, signal, sys, threading

def main(plant=False):
    umask = os.umask(0o22)
    os.umask(umask)
    found = {
        "umask": umask,
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "signals": [str(signal.getsignal(each)) for each in sorted(signal.valid_signals())],
        "timers": [signal.getitimer(each) for each in range(3)],
        "limits": [resource.getrlimit(each) for each in range(10)],
        "threads": [each.name for each in threading.enumerate()],
        "files": [os.listdir(each) for each in (".", "/tmp", "/dev/shm") if os.path.isdir(each)]
        if os.environ["HOME"] == "/step" else os.listdir("."),
        "names": sorted(os.environ),
        "processors": sorted(os.sched_getaffinity(0)),
        "folder": os.getcwd() == os.environ["HOME"],
        "path": len(sys.path),
        "depth": sys.getrecursionlimit(),
        "descriptors": [each for each in range(1024) if is_open(each)],
    }
    if plant:
        os.umask(0)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 1000)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        threading.Thread(target=threading.Event().wait, name="planted").start()
        for folder in (".", "/tmp", "/dev/shm") if os.environ["HOME"] == "/step" else ".":
            try:
                open(f"{folder}/planted", "w").close()
            except OSError:
                continue
        os.environ["PLANTED"] = "1"
        os.chdir("/")
        sys.path.append("/planted")
        sys.setrecursionlimit(500)
        os.dup(0)
        try:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        except OSError:
            pass
    return found

def is_open(number):
    try:
        return bool(os.fstat(number))
    except OSError:
        return False
"""


async def test_a_program_finds_its_surroundings_as_if_it_were_the_first(run, sandbox):
    first = await run(SURROUNDINGS)
    assert first.error is None, first.traceback
    assert first.output["descriptors"] == [0, 1, 2, 3]
    for _ in range(3):
        planted = await run(SURROUNDINGS, plant=True)
        assert (planted.error, planted.output) == (None, first.output)


async def test_cells_that_died_as_they_waited_are_passed_over(run, sandbox):
    await run("def main(): ...")
    for _ in range(3):
        waiting = await cells_that_wait()
        for pid in waiting:
            with suppress(ProcessLookupError):  # it ended with its keeper
                os.kill(pid, signal.SIGKILL)
        # At once: before anybody but the kernel knows.
        result = await run("def main(): return 1")
        assert (result.error, result.output) == (None, 1)


async def test_a_zygote_that_died_as_its_cells_waited_is_made_anew(run):
    await run("def main(): ...")
    await cells_that_wait()
    zygotes = [each for each in descendants(os.getpid()) if comm(each) == "codex32-zygote"]
    assert zygotes
    for pid in zygotes:
        os.kill(pid, signal.SIGKILL)
    result = await run("def main(): return 1")
    assert (result.error, result.output) == (None, 1)


async def cells_that_wait() -> list[int]:
    async with asyncio.timeout(60):
        while True:
            found = [each for each in descendants(os.getpid()) if comm(each) == "codex32-cell"]
            if len(found) >= 2 * WARM:  # keepers, and the processes of programs to come
                return found
            await asyncio.sleep(0.01)


async def test_an_empty_folder_is_removed_by_its_keeper_and_a_full_one_by_the_worker(
    temporary, monkeypatch
):
    removed = []
    real = folders.remove
    monkeypatch.setattr(
        "codex32.outside.sandboxes.linux.remove", lambda home: (removed.append(home), real(home))
    )
    sandbox = ProcessSandbox()
    host = ProgramHost(lambda stream, line: None)
    try:
        # A keeper that is told late leaves it to the worker, as for any that has something in it.
        for _ in range(20):
            assert (await sandbox.run(Program("def main(): ..."), host)).error is None
        assert len(removed) < 20
        removed.clear()
        await sandbox.run(Program("def main(): open('left', 'w').write('x')"), host)
        assert len(removed) == 1
    finally:
        await sandbox.close()
    assert not list(temporary.glob("codex32-*"))
