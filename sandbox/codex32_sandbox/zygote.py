"""The zygote: a bare interpreter, started once, from which every cell is forked as it was then.

It never runs a bot's code, so a cell begins without anything of earlier executions. Commands come
as lines of JSON: ``{"make": NUMBER}`` and ``{"kill": NUMBER}``; it answers ``{"made": NUMBER}``
with the cell's channel, ``{"ended": NUMBER, "code": CODE}``, ``{"broken": NUMBER, "why": TEXT}``.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
from typing import NoReturn

from codex32_sandbox import cell
from codex32_sandbox.cell import LINUX

#: From here on nobody gives out user ids: 64 for each possible process id of a zygote.
_FIRST_UID, _UIDS_EACH = 0x70000000, 64
_NOBODY = 65534


class Zygote:
    """Makes cells of one level and tells how they end."""

    def __init__(self, line: socket.socket, level: str) -> None:
        self._line = line
        self._level = level
        self._paths: list[str] = []
        self._cells: dict[int, int] = {}
        self._rest = b""
        if LINUX and level != "plain":
            from codex32_sandbox import rooms

            self._paths = rooms.shown()

    def run(self) -> None:
        """Serve until the line closes; then nothing is left of what was made."""
        hear, ring = os.pipe()
        os.set_blocking(ring, False)
        os.set_blocking(hear, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(hear, select.POLLIN)
        poll.register(self._line.fileno(), select.POLLIN)
        gc.freeze()
        while True:
            ready = dict(poll.poll())
            if hear in ready:
                os.read(hear, 512)
                self._reap()
            if self._line.fileno() in ready and not self._serve():
                break
        for pid in self._cells:
            _kill(pid)
        cell.end_descendants()

    def _serve(self) -> bool:
        data = self._line.recv(65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if "make" in command:
                self._make(command["make"])
            for pid, number in list(self._cells.items()):
                if number == command.get("kill"):
                    _kill(pid)
        return bool(data)

    def _make(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._become_cell(theirs, writing, number)
        os.close(writing)
        theirs.close()
        with open(reading, "rb") as pipe:
            keeper, _, why = pipe.read().partition(b" ")
        if self._level == "namespace" or why:
            os.waitpid(pid, 0)
        if why or not keeper:
            self._tell({"broken": number, "why": why.decode(errors="replace") or "it died"})
        else:
            self._cells[int(keeper)] = number
            self._tell({"made": number}, ours.fileno())
        ours.close()

    def _become_cell(self, channel: socket.socket, writing: int, number: int) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            uid = self._uid(number)
            owner = (os.getuid(), os.getgid()) if uid is None else (uid, uid)
            if self._level == "namespace":
                owner = cell.unshare_all(uid)
                pid = os.fork()
                if pid:  # the first process of the new namespace is what is kept
                    os.write(writing, str(pid).encode() + b" ")
                    os._exit(0)
            else:
                os.write(writing, str(os.getpid()).encode() + b" ")
            cell.prepare(self._level, self._paths, owner)
            os.close(writing)
            os.dup2(channel.fileno(), cell.CHANNEL)
            os.closerange(cell.CHANNEL + 1, 1024)
            channel.detach()
            cell.keep(self._level, socket.socket(fileno=cell.CHANNEL), self._paths, owner)
        except BaseException as error:
            try:
                os.write(writing, f"0 {error}"[:2000].encode(errors="replace"))
            finally:
                os._exit(1)

    def _uid(self, number: int) -> int | None:
        """A user of the cell's own, where we may choose one."""
        if os.getuid() != 0 or self._level == "plain":
            return None
        if self._level == "process" and not cell.open_to_all(os.path.dirname(os.__file__)):
            return None  # another user could not import a module
        try:
            with open("/proc/self/uid_map", encoding="ascii") as file:
                spans = [tuple(map(int, line.split())) for line in file]
        except OSError:
            return None
        wanted = _FIRST_UID + os.getpid() * _UIDS_EACH + number % _UIDS_EACH
        for uid in (wanted, _NOBODY):
            if any(first <= uid < first + count for first, _, count in spans):
                return uid
        return None

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._cells.pop(pid, None)
            if number is None:
                continue
            if self._level != "namespace":
                # A keeper that was killed leaves its orphans to us.
                cell.end_descendants(frozenset(self._cells))
            self._tell({"ended": number, "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, object], descriptor: int | None = None) -> None:
        line = json.dumps(message).encode() + b"\n"
        try:
            if descriptor is None:
                self._line.sendall(line)
            else:
                socket.send_fds(self._line, [line], [descriptor])
        except OSError:
            return  # the worker is gone, which the next look at the line tells


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
