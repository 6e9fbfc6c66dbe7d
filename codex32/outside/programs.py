"""Running programs in plain processes of their own."""

from __future__ import annotations

import asyncio
import marshal
import math
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from codex32.kernel.contracts.program import Program, ProgramResult, ProgramRunner
from codex32.kernel.json_values import loads
from codex32.outside.keeper import Keeper
from codex32.outside.turns import Turns

_GIB = 1024**3
_MAX_OPEN_FILES = 256
#: What an answer may hold beside its output: a traceback, each character escaped.
_WRAPPING_BYTES = 128 * 1024
#: Longer answers are parsed on a thread, so that the event loop goes on.
_LONG_ANSWER_BYTES = 256 * 1024
_CODES = frozenset({"raised", "no-main", "syntax", "not-json", "too-long"})


class PlainProcessRunner(ProgramRunner):
    """Runs programs as the worker's own user, in a new session with a clean environment.

    This keeps accidents in: endless loops, too much memory, forgotten children. It does not keep
    an attacker in: the program reads what the worker's user can read, and reaches the network.

    Args:
      max_parallel: Programs that run at once; others wait their turn.
      memory_bytes: Address space of a program that asks for no other.
      disk_bytes: The longest file a program may write.
      max_line_bytes: How much of each of stdout and stderr is handed on.
    """

    level = "plain process"

    def __init__(
        self,
        *,
        max_parallel: int = 8,
        memory_bytes: int = _GIB,
        disk_bytes: int = _GIB,
        max_line_bytes: int = 1024 * 1024,
    ) -> None:
        self._turns = Turns(max_parallel)
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._max_line_bytes = max_line_bytes
        self._parent = tempfile.gettempdir()

    async def run(
        self,
        program: Program,
        on_line: Callable[[str, str], None],
        on_begin: Callable[[], None] = lambda: None,
    ) -> ProgramResult:
        """Run to the end; see :meth:`ProgramRunner.run`."""
        async with self._turns.turn(program.owner):
            on_begin()
            # The program makes it, so that no disk is touched on the event loop.
            directory = Path(self._parent, f"codex32-{secrets.token_hex(8)}")
            try:
                return await self._run_in(directory, program, on_line)
            finally:
                await asyncio.shield(asyncio.to_thread(_remove, directory))

    async def _run_in(
        self, directory: Path, program: Program, on_line: Callable[[str, str], None]
    ) -> ProgramResult:
        environment = {"LANG": "C.UTF-8", "HOME": str(directory), "TMPDIR": str(directory)}
        with await Keeper.start(environment) as keeper:
            try:
                keeper.watch(on_line, self._max_line_bytes)
                async with asyncio.timeout(program.timeout_seconds):
                    await keeper.send(marshal.dumps(self._request(directory, program)))
                    await keeper.exited()
            except TimeoutError:
                limit = f"{program.timeout_seconds:g} s"
                return ProgramResult(error=f"not done within {limit}", code="timeout")
            finally:
                await asyncio.shield(asyncio.ensure_future(keeper.end()))
            return await _result(keeper, program)

    def _request(self, directory: Path, program: Program) -> dict[str, Any]:
        longest = program.max_output_bytes + _WRAPPING_BYTES
        limits = {
            "RLIMIT_AS": program.memory_bytes or self._memory_bytes,
            "RLIMIT_FSIZE": max(self._disk_bytes, longest),
            "RLIMIT_NOFILE": _MAX_OPEN_FILES,
            "RLIMIT_CORE": 0,
        }
        if program.cpu_seconds is not None:
            limits["RLIMIT_CPU"] = max(1, math.ceil(program.cpu_seconds))
        return {
            "code": program.code,
            "args": dict(program.args),
            "file": program.file,
            "directory": str(directory),
            "limits": limits,
            "max_output_bytes": program.max_output_bytes,
        }


async def _result(keeper: Keeper, program: Program) -> ProgramResult:
    size = os.fstat(keeper.answer).st_size
    if size > program.max_output_bytes + _WRAPPING_BYTES:
        return ProgramResult(error="the answer is too long", code="too-long")
    text = os.pread(keeper.answer, size, 0)
    try:
        if size > _LONG_ANSWER_BYTES:
            answer = await asyncio.to_thread(loads, text)
        else:
            answer = loads(text)
    except (ValueError, RecursionError):
        if text and keeper.exit_code == 0:
            message = "what it wrote in place of its answer is no JSON"
            return ProgramResult(error=message, code="not-json")
        return ProgramResult(error=_how_it_ended(keeper.exit_code), code="killed")
    # The program could write here what it likes; it is taken for no more than an answer.
    if not isinstance(answer, dict) or answer.get("code", "raised") not in _CODES:
        return ProgramResult(error="the answer is no answer", code="not-json")
    if "error" not in answer:
        return ProgramResult(output=answer.get("output"))
    return ProgramResult(
        error=str(answer["error"]),
        traceback=str(answer.get("traceback", "")),
        code=answer.get("code", "raised"),
    )


def _how_it_ended(exit_code: int) -> str:
    if exit_code == 128 + signal.SIGXCPU:
        return "the program used more processor time than it may"
    number = -exit_code if exit_code < 0 else exit_code - 128
    try:
        return f"the program was ended by {signal.Signals(number).name} before it answered"
    except ValueError:
        return f"the program ended with exit code {exit_code} before it answered"


def _remove(directory: Path) -> None:
    if directory.exists():  # else the program was ended before it made it
        shutil.rmtree(directory, onerror=partial(_open_and_retry, directory))


def _open_and_retry(
    directory: Path, function: Callable[..., Any], path: str, _why: object
) -> None:
    # A program may have closed its own directories; symbolic links are not followed. What lies
    # around the directory is others', and keeps its permissions.
    try:
        if os.path.islink(path) or not os.path.isdir(path):
            if Path(path) != directory:
                os.chmod(os.path.dirname(path), 0o700)
            os.unlink(path)
            return
        os.chmod(path, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return
