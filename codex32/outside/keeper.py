"""The process that keeps a program, as the worker holds it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from codex32.outside.lines import LineReader

_CHILD = Path(__file__).with_name("program_child.py")
#: How long the keeper may take to end a program and its descendants before it is killed too.
_END_SECONDS = 3.0


class Keeper:
    """A started ``program_child.py``.

    Its standard input is the line of life: it carries the request, and stays open as long as the
    program may run. Closing it ends the program; so does the death of this process.

    Attributes:
      answer: Descriptor of the file in memory into which the program writes its answer.
      exit_code: As a shell has it, 128 and the signal's number where a signal ended the
        program; negative where one ended the keeper. Known after :meth:`end`.
    """

    def __init__(self, process: subprocess.Popen[bytes], answer: int) -> None:
        self.exit_code = 0
        self.answer = answer
        self._process = process
        self._readers: list[LineReader] = []
        self._exited = asyncio.ensure_future(_wait(process))

    @classmethod
    async def start(cls, environment: Mapping[str, str]) -> Keeper:
        """Start a keeper; to be followed by :meth:`end`, and by leaving its ``with`` block."""
        # Making a process stops the thread that does it until the new program is loaded.
        starting = asyncio.ensure_future(asyncio.to_thread(_start, environment))
        try:
            return cls(*await asyncio.shield(starting))
        except asyncio.CancelledError:
            with cls(*await starting) as keeper:
                await keeper.end()
            raise

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.answer)

    def watch(self, on_line: Callable[[str, str], None], max_bytes: int) -> None:
        """Hand on what is written to stdout and stderr."""
        for name, pipe in (("stdout", self._process.stdout), ("stderr", self._process.stderr)):
            assert pipe is not None
            self._readers.append(LineReader(pipe.fileno(), name, on_line, max_bytes))

    async def send(self, body: bytes) -> None:
        """Write the request; a keeper that is gone takes none."""
        assert self._process.stdin is not None
        descriptor = self._process.stdin.fileno()
        os.set_blocking(descriptor, False)
        data = memoryview(len(body).to_bytes(8, "big") + body)
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:
                await _writable(descriptor)
            except BrokenPipeError:
                return

    async def exited(self) -> None:
        """Wait for the keeper's end, by which all that the program started has ended too."""
        await asyncio.shield(self._exited)

    async def end(self) -> None:
        """End the program if it still runs, and let nothing be left."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.close()
        await asyncio.wait([self._exited], timeout=_END_SECONDS)
        # The number is not given to others before the process is waited for, so this hits
        # only the program's own group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await self._exited
        self.exit_code = process.wait()
        for reader in self._readers:
            reader.finish()
        process.stdout.close()
        process.stderr.close()


def _start(environment: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    answer = _nameless_file()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_CHILD), str(answer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
            pass_fds=(answer,),
        )
    except BaseException:
        os.close(answer)
        raise
    return process, answer


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("answer", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


async def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait until the process has ended, without reading its status."""
    if not hasattr(os, "pidfd_open"):
        await asyncio.to_thread(process.wait)
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        await _readable(descriptor)
    finally:
        os.close(descriptor)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(descriptor, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(descriptor, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
