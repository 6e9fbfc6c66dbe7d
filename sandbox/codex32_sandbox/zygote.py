"""The zygote: a bare interpreter, started once, from which every cell is forked as it was then.

It never runs a bot's code, so a cell begins without anything of earlier executions. Commands come
as lines of JSON: ``{"make": NUMBER}`` and ``{"kill": NUMBER}``; it answers ``{"made": NUMBER}``
with the cell's channel, ``{"ended": NUMBER, "code": CODE}``, ``{"broken": NUMBER, "why": TEXT}``.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket

from codex32_sandbox import cell
from codex32_sandbox.cell import LINUX

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from typing import NoReturn

#: From here on nobody gives out user ids: 64 for each possible process id of a zygote.
_FIRST_UID, _UIDS_EACH = 0x70000000, 64
_NOBODY = 65534
_IDLE_MILLISECONDS = 100
#: Modules of the standard library that programs are likely to import, the likeliest last.
_LIKELY = (
    *("csv", "hashlib", "http.client", "urllib.request", "asyncio"),
    *("random", "datetime", "urllib.parse", "dataclasses", "itertools", "typing"),
)


class Zygote:
    """Makes cells of one level and tells how they end."""

    def __init__(self, line: socket.socket, level: str) -> None:
        self._line = line
        self._level = level
        self._paths: list[str] = []
        self._cells: dict[int, int] = {}
        self._rest = b""
        self._likely = list(_LIKELY)
        self._poll = select.poll()
        #: Cells that are not ready, by the pipe on which they tell that they are.
        self._births: dict[int, _Birth] = {}
        #: Keepers that ended before their cell was known to be made.
        self._early: set[int] = set()
        self._spans: list[tuple[int, int, int]] = []
        if LINUX and os.getuid() == 0:
            with open("/proc/self/uid_map", encoding="utf-8") as file:
                for span in file:
                    first, outer, count = map(int, span.split())
                    self._spans.append((first, outer, count))
        if LINUX and level != "plain":
            from codex32_sandbox import rooms, seccomp

            self._paths = rooms.shown()
            seccomp.make_ready(apart=level == "namespace")

    def run(self) -> None:
        """Serve until the line closes; then nothing is left of what was made."""
        hear, ring = os.pipe()
        os.set_blocking(ring, False)
        os.set_blocking(hear, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        poll = self._poll
        poll.register(hear, select.POLLIN)
        poll.register(self._line.fileno(), select.POLLIN)
        gc.freeze()
        while True:
            # With nothing to do, what many programs import is imported for those to come.
            idle = bool(self._likely) and not self._births
            ready = dict(poll.poll(_IDLE_MILLISECONDS if idle else None))
            if idle and not ready:
                importlib.import_module(self._likely.pop())
                gc.freeze()
            for pipe in [each for each in self._births if each in ready]:
                self._attend(pipe)
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
            self._become_cell(theirs, writing, number)
        os.close(writing)
        theirs.close()
        self._births[reading] = _Birth(number, ours, pid)
        self._poll.register(reading, select.POLLIN)

    def _attend(self, pipe: int) -> None:
        """Hear what a cell says that is being made; when it has said all, it is made, or never."""
        birth = self._births[pipe]
        if data := os.read(pipe, 4096):
            birth.told += data
            return
        self._poll.unregister(pipe)
        del self._births[pipe]
        os.close(pipe)
        keeper, _, why = birth.told.partition(b" ")
        if why or not keeper or int(keeper) in self._early:
            told = why.decode(errors="replace") or "it died"
            self._tell({"broken": birth.number, "why": told})
        else:
            self._cells[int(keeper)] = birth.number
            self._tell({"made": birth.number}, birth.channel.fileno())
        birth.channel.close()
        if not self._births:
            self._early.clear()

    def _become_cell(self, channel: socket.socket, writing: int, number: int) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            writing = _keep_only(channel.fileno(), writing)
            channel.detach()
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
        wanted = _FIRST_UID + os.getpid() * _UIDS_EACH + number % _UIDS_EACH
        for uid in (wanted, _NOBODY):
            if any(first <= uid < first + count for first, _, count in self._spans):
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
                if self._births:
                    self._early.add(pid)
                continue
            if self._level != "namespace":
                # A keeper that was killed leaves its orphans to us.
                unborn = {birth.process for birth in self._births.values()}
                cell.end_descendants(frozenset(unborn.union(self._cells)))
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


class _Birth:
    """A cell that is being made.

    Attributes:
      channel: The house's end of its line.
      process: What was forked; in namespaces the keeper is a child of it.
      told: The keeper's process id and a space, and behind it why it could not be made.
    """

    def __init__(self, number: int, channel: socket.socket, process: int) -> None:
        self.number, self.channel, self.process = number, channel, process
        self.told = b""


def _keep_only(channel: int, writing: int) -> int:
    """Let go of all descriptors but these two; the channel gets its number, the other is told."""
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 512) for each in (channel, writing)]
    os.dup2(high[0], cell.CHANNEL)
    os.dup2(high[1], cell.CHANNEL + 1, inheritable=False)
    os.closerange(cell.CHANNEL + 2, 1024)
    return cell.CHANNEL + 1


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
