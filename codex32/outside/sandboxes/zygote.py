"""A zygote as the worker holds it: started once, asked for a cell for every program."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import codex32_sandbox
import codex32_step
from codex32_sandbox.channel import FOLDER_GONE

#: A zygote that has not made a cell by then never will.
_PATIENCE_SECONDS = 30.0
_END_SECONDS = 3.0
_REFILL_SECONDS = 0.05
_KILLED = -9


class SandboxBroken(Exception):
    """No cell could be made; the text says why."""


class CellLost(Exception):
    """A cell ended before any of its program ran, which another can run as well."""


class Cell:
    """A process that waits for one program.

    Attributes:
      channel: The line to it; closing it ends the cell and all that runs in it.
      ended: Its exit code, once nothing of its program is left; as a shell has it: 128 and the
        signal's number where one ended the program; negative where one ended the cell.
      folder_gone: Whether its program left nothing in its folder, which its keeper has removed.

    Args:
      telling: A pipe on which its keeper may tell that code before it ends itself.
    """

    def __init__(self, number: int, channel: socket.socket, telling: int) -> None:
        self.number = number
        self.channel = channel
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        self.folder_gone = False
        self._telling = telling
        os.set_blocking(telling, False)
        self._loop.add_reader(telling, self._hear)

    def _hear(self) -> None:
        if told := os.read(self._telling, 2):
            self.folder_gone = told[1:] == FOLDER_GONE
            self.end(told[0])
        else:  # it was killed, which is told by those who see it end
            self._loop.remove_reader(self._telling)

    def end(self, code: int) -> None:
        """Nothing of its program is left; whoever knows it first says so."""
        if not self.ended.done():
            self.ended.set_result(code)
            self._loop.remove_reader(self._telling)
            os.close(self._telling)


class Zygote:
    """Makes cells, and keeps some that wait. Belongs to one event loop; see :meth:`start`.

    Args:
      level: ``namespace``, ``process`` or ``plain``.
      warm: How many cells wait for programs.
    """

    def __init__(self, level: str, warm: int, process: subprocess.Popen[bytes]) -> None:
        self._level, self._warm = level, warm
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._made: deque[Cell] = deque()
        self._wanted: deque[asyncio.Future[Cell]] = deque()
        self._cells: dict[int, Cell] = {}
        self._making = self._number = 0
        self._rest = b""
        self._descriptors: deque[int] = deque()
        self.alive = True

    @classmethod
    async def start(cls, level: str, warm: int) -> Zygote:
        """Start one; to be followed by :meth:`close`."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            # Making a process stops the thread that does it until the new program is loaded.
            starting = asyncio.ensure_future(asyncio.to_thread(_start, level, theirs))
            try:
                process = await asyncio.shield(starting)
            except asyncio.CancelledError:
                ours.close()
                await asyncio.to_thread((await starting).wait)
                raise
        finally:
            theirs.close()
        zygote = cls(level, warm, process)
        zygote._line = ours
        zygote._loop.add_reader(ours, zygote._hear)
        return zygote

    _line: socket.socket

    async def cell(self) -> Cell:
        """A cell that nobody had before.

        Raises:
          SandboxBroken: None can be made.
          CellLost: It was killed as it was made, or the zygote was.
        """
        if self._made:
            cell = self._made.popleft()
        else:
            wanted: asyncio.Future[Cell] = self._loop.create_future()
            self._wanted.append(wanted)
            self._make_enough()
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    cell = await wanted
            except TimeoutError:
                raise SandboxBroken("it does not answer") from None
            except asyncio.CancelledError:
                if wanted.done() and not wanted.cancelled() and not wanted.exception():
                    self._made.append(wanted.result())
                raise
        if not self._made:
            # More are made when a program is over, not beside it, unless many come one by one.
            self._loop.call_later(_REFILL_SECONDS, self._make_enough)
        return cell

    def kill(self, cell: Cell) -> None:
        """End a cell that does not end by itself."""
        self._send({"kill": cell.number})

    def _make_enough(self) -> None:
        # Those who wait come first; what is kept for later would be made at their expense.
        wanted = sum(not each.done() for each in self._wanted) or self._warm
        while self.alive and len(self._made) + self._making < wanted:
            self._making += 1
            self._number += 1
            self._send({"make": self._number})

    def _send(self, command: dict[str, int]) -> None:
        try:
            # Commands are short, and the line holds thousands.
            self._line.send(json.dumps(command).encode() + b"\n")
        except OSError:
            self._die(CellLost())

    def _hear(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._line, 65536, 16)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        self._descriptors.extend(descriptors)
        if not data:
            self._die(CellLost())
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._heed(json.loads(line))

    def _heed(self, message: dict[str, object]) -> None:
        match message:
            case {"made": int(number)}:
                self._making -= 1
                channel = socket.socket(fileno=self._descriptors.popleft())
                channel.setblocking(False)
                telling = self._descriptors.popleft()
                self._cells[number] = cell = Cell(number, channel, telling)
                # As soon as its program is over, and not when the kernel has cleared up.
                cell.ended.add_done_callback(lambda _: self._make_enough())
                self._hand_out(cell)
            case {"broken": int(), "why": str(why)}:
                self._making -= 1
                self._disappoint(SandboxBroken(why) if why else CellLost())
            case {"ended": int(number), "code": int(code)}:
                cell = self._cells.pop(number)
                cell.end(code)
                if cell in self._made:
                    self._made.remove(cell)
                    cell.channel.close()

    def _hand_out(self, cell: Cell) -> None:
        while self._wanted:
            wanted = self._wanted.popleft()
            if not wanted.done():
                wanted.set_result(cell)
                return
        self._made.append(cell)

    def _disappoint(self, error: Exception) -> None:
        while self._wanted:
            wanted = self._wanted.popleft()
            if not wanted.done():
                wanted.set_exception(error)
                return

    def _die(self, why: Exception) -> None:
        """The zygote is gone, and with it every cell."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._line)
        self._line.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        while self._wanted:
            self._disappoint(why)
        for cell in self._made:
            cell.channel.close()
        self._made.clear()
        for cell in self._cells.values():
            _await_hang_up(cell)
        self._cells.clear()

    async def close(self) -> None:
        """End it and every cell."""
        self._die(SandboxBroken("it was closed"))
        await asyncio.to_thread(_end, self._process)


def _await_hang_up(cell: Cell) -> None:
    """Without a zygote: have a cell end itself, and know its end by the line that closes."""
    try:
        line = cell.channel.dup()
    except OSError:  # it was hung up already, and so ends by itself
        cell.end(_KILLED)
        return
    loop = asyncio.get_running_loop()

    def drain() -> None:
        try:
            if line.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        loop.remove_reader(line)
        line.close()
        cell.end(_KILLED)

    with suppress(OSError):
        line.shutdown(socket.SHUT_WR)
    loop.add_reader(line, drain)


def _start(level: str, line: socket.socket) -> subprocess.Popen[bytes]:
    """A bare interpreter: no environment, no descriptors, nothing of what is installed."""
    return subprocess.Popen(
        [
            os.path.realpath(sys._base_executable),  # type: ignore[attr-defined]
            "-I",
            "-S",
            str(_folder(codex32_sandbox) / "__main__.py"),
            str(line.fileno()),
            level,
            *dict.fromkeys(str(_folder(each).parent) for each in (codex32_sandbox, codex32_step)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
        pass_fds=(line.fileno(),),
    )


def _folder(package: ModuleType) -> Path:
    assert package.__file__ is not None
    return Path(package.__file__).parent


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
        return
    process.kill()
    process.wait()
