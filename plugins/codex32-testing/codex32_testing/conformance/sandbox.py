"""The contract of sandboxes as tests."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codex32 import Program, ProgramHost, ProgramResult, SandboxBackend, SandboxLevel
from codex32_testing.conformance.shared import faults

#: Programs, and the word for how each must end.
_ENDS = {
    "raises": ("def main(): raise ValueError('no')", "raised"),
    "has no main": ("x = 1", "no-main"),
    "is no Python": ("def main(:", "syntax"),
    "answers no JSON": ("def main(): return {1}", "not-json"),
    "answers too much": ("def main(): return 'x' * 100_000", "too-long"),
    "leaves": ("import os\ndef main(): os._exit(3)", "killed"),
    "hangs": ("def main():\n while True: pass", "timeout"),
    "sleeps": ("import time\ndef main(): time.sleep(1000)", "timeout"),
}


class SandboxSuite:
    """Subclass it and give the fixture ``sandbox``, which ends what it started when it is over."""

    @pytest.fixture
    def sandbox(self) -> SandboxBackend:
        """The sandbox to try; it must work on this machine."""
        pytest.fail(f"{type(self).__name__} needs a fixture called sandbox")

    async def run(self, sandbox: SandboxBackend, code: str, **limits: Any) -> ProgramResult:
        """What comes of ``code``; its lines are kept in ``self.lines``."""
        self.lines: list[tuple[str, str]] = []
        program = Program(code, timeout_seconds=20.0, max_output_bytes=50_000)
        host = ProgramHost(lambda stream, line: self.lines.append((stream, line)))
        return await sandbox.run(replace(program, **limits), host)

    def test_the_house_takes_it(self, sandbox: SandboxBackend) -> None:
        """It would not be refused when plugins are loaded, and works here."""
        assert faults("sandboxes", sandbox) == []
        assert sandbox.lacks() is None

    @pytest.mark.asyncio
    async def test_arguments_come_in_and_the_answer_goes_out(
        self, sandbox: SandboxBackend
    ) -> None:
        """As JSON, whatever it holds; a second program does as well as the first."""
        value = {"text": "ä\n\0", "list": [1, 2.5, None, True], "empty": {}}
        for _ in range(2):
            result = await self.run(sandbox, "def main(x): return x", args={"x": value})
            assert (result.error, result.output) == (None, value)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("end", _ENDS)
    async def test_each_end_has_its_word(self, sandbox: SandboxBackend, end: str) -> None:
        """Only what lies in the program is the program's fault."""
        code, word = _ENDS[end]
        limits = {"timeout_seconds": 2.0} if word == "timeout" else {}
        result = await self.run(sandbox, code, **limits)
        assert (result.code, result.output) == (word, None)
        assert result.error

    @pytest.mark.asyncio
    async def test_an_exception_shows_the_authors_line(self, sandbox: SandboxBackend) -> None:
        """With the name that the program was given."""
        code = "def main():\n    return 1 / 0  # here\n"
        result = await self.run(sandbox, code, file="bot.py")
        assert 'File "bot.py", line 2, in main' in result.traceback
        assert "# here" in result.traceback

    @pytest.mark.asyncio
    async def test_lines_are_told_as_they_are_written(self, sandbox: SandboxBackend) -> None:
        """By stream; a flood is cut and does not hold up the program."""
        code = "import sys\ndef main():\n print('one')\n print('two', file=sys.stderr)\n return 1"
        assert (await self.run(sandbox, code)).output == 1
        assert sorted(self.lines) == [("stderr", "two"), ("stdout", "one")]
        flood = await self.run(sandbox, "def main():\n print('x' * 50_000_000)\n return 2")
        assert flood.output == 2
        assert sum(len(line) for _, line in self.lines) < 10_000_000

    @pytest.mark.asyncio
    async def test_a_program_that_is_cancelled_is_over(self, sandbox: SandboxBackend) -> None:
        """And leaves no descriptor; a few are held by what waits for the next."""
        await self.run(sandbox, "def main(): ...")
        before = len(os.listdir("/dev/fd"))
        program = Program("import time\ndef main():\n print(1)\n time.sleep(1000)")
        began = asyncio.Event()
        host = ProgramHost(lambda stream, line: began.set())
        for _ in range(8):
            began.clear()
            running = asyncio.ensure_future(sandbox.run(program, host))
            async with asyncio.timeout(20):
                await began.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert len(os.listdir("/dev/fd")) < before + 8

    @pytest.mark.asyncio
    async def test_nothing_is_carried_over(self, sandbox: SandboxBackend) -> None:
        """Neither modules nor globals nor files nor the environment."""
        plant = """
import builtins, json, os, sys
def main():
    builtins.planted = json.planted = sys.planted = 1
    sys.modules["planted"] = json
    os.environ["PLANTED"] = "1"
    open("planted", "w").close()
"""
        look = """
import builtins, json, os, sys
def main():
    return [hasattr(builtins, "planted"), hasattr(json, "planted"), hasattr(sys, "planted"),
            "planted" in sys.modules, "PLANTED" in os.environ, os.path.exists("planted")]
"""
        for _ in range(2):
            assert (await self.run(sandbox, plant)).error is None
            assert (await self.run(sandbox, look)).output == [False] * 6

    @pytest.mark.asyncio
    async def test_memory_and_processor_time_are_limited(self, sandbox: SandboxBackend) -> None:
        """As the program's limits say."""
        code = "def main(): return len(bytearray(400 * 1024 * 1024))"
        big = await self.run(sandbox, code, memory_bytes=200 * 1024 * 1024)
        assert big.error is not None
        busy = await self.run(sandbox, "def main():\n while True: pass", cpu_seconds=1.0)
        assert busy.code == "killed"

    @pytest.mark.asyncio
    async def test_files_outside_are_out_of_reach(
        self, sandbox: SandboxBackend, tmp_path: Path
    ) -> None:
        """Unless a level below ``PROCESS`` says that it holds nobody back."""
        if sandbox.level < SandboxLevel.PROCESS:
            return
        secret = tmp_path / "secret"
        secret.write_text("s3cret")
        code = "def main(path): return open(path).read()"
        result = await self.run(sandbox, code, args={"path": str(secret)})
        assert result.code == "raised"
        code = "import os\ndef main(path): os.remove(path)"
        await self.run(sandbox, code, args={"path": str(secret)})
        assert secret.read_text() == "s3cret"
