"""The zygote: a bare interpreter, started once, from which every cell is forked as it was then.

It never runs a bot's code, so a cell begins without anything of earlier executions. Commands come
as lines of JSON: ``{"make": NUMBER}`` and ``{"kill": NUMBER}``; it answers ``{"made": NUMBER}``
with the cell's channel and the pipe on which its end is told (``cell.py``), ``{"ended": NUMBER,
"code": CODE}``, ``{"broken": NUMBER, "why": TEXT}``, without a text where it was killed.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select

from codex32_sandbox import cell
from codex32_sandbox.bare import Socket, dumps, loads, pair, send, signal
from codex32_sandbox.cell import LINUX
from codex32_sandbox.closing import CHANNEL, NOBODY, READY, open_to_all
from codex32_sandbox.keeping import end_descendants

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

#: From here on nobody gives out user ids: 64 for each possible process id of a zygote.
_FIRST_UID, _UIDS_EACH = 0x70000000, 64
_IDLE_MILLISECONDS = 100
#: What most programs import, or their traceback does: as soon as nobody waits for the first cells.
_USUAL = ("json", "traceback", "threading", "socket", "collections.abc", "contextlib", "functools")
#: Other modules that programs are likely to import, the likeliest last.
_LIKELY = (
    *("csv", "hashlib", "http.client", "urllib.request", "asyncio"),
    *("random", "datetime", "urllib.parse", "dataclasses", "itertools", "typing"),
)


class Zygote:
    """Makes cells of one level and tells how they end."""

    def __init__(self, line: Socket, level: str) -> None:
        self._line = line
        self._level = level
        self._paths: list[str] = []
        #: The numbers of all cells whose keeper lives, by its process id.
        self._cells: dict[int, int] = {}
        self._rest = b""
        self._usual, self._likely = list(_USUAL), list(_LIKELY)
        self._poll = select.poll()
        #: Cells that are not ready, by the pipe on which they tell that they are.
        self._births: dict[int, _Birth] = {}
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
                self._import(self._likely.pop())
            for pipe in [each for each in self._births if each in ready]:
                self._attend(pipe)
            if hear in ready:
                os.read(hear, 512)
                self._reap()
            if self._line.fileno() in ready and not self._serve():
                break
        for pid in self._cells:
            _kill(pid)
        end_descendants()

    def _import(self, module: str) -> None:
        """Have it in all cells from now on."""
        import importlib

        importlib.import_module(module)
        gc.freeze()

    def _serve(self) -> bool:
        data = self._line.recv(65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            command = loads(line)
            if "make" in command:
                self._make(command["make"])
            for pid, number in list(self._cells.items()):
                if number == command.get("kill"):
                    _kill(pid)
        return bool(data)

    def _make(self, number: int) -> None:
        while self._usual and number > 1 and not self._births:
            self._import(self._usual.pop())
        ours, theirs = pair()
        reading, writing = os.pipe()
        birth = self._births[reading] = _Birth(number, ours)
        self._poll.register(reading, select.POLLIN)
        try:
            birth.keeper, owner = self._fork(self._uid(number))
        except OSError as error:
            birth.told = str(error).encode()
        else:
            if birth.keeper == 0:
                self._become_cell(theirs, writing, owner)
            self._cells[birth.keeper] = number
        os.close(writing)
        theirs.close()

    def _fork(self, uid: int | None) -> tuple[int, tuple[int, int]]:
        """The child, which is the keeper of a cell, and user and group of its program."""
        if self._level == "namespace":
            return cell.fork_apart(uid)
        return os.fork(), (os.getuid(), os.getgid()) if uid is None else (uid, uid)

    def _attend(self, pipe: int) -> None:
        """Hear what a cell says that is being made; when it has said all, it is made, or never."""
        birth = self._births[pipe]
        data = os.read(pipe, 4096)
        birth.told += data
        ready = birth.told.startswith(READY)
        if data and not ready:
            return
        self._poll.unregister(pipe)
        del self._births[pipe]
        alive = self._cells.get(birth.keeper) == birth.number
        if ready and alive:
            self._tell({"made": birth.number}, [birth.channel.fileno(), pipe])
        else:
            if alive:
                del self._cells[birth.keeper]
            why = birth.told.decode(errors="replace").strip()
            self._tell({"broken": birth.number, "why": why})
        birth.channel.close()
        os.close(pipe)

    def _become_cell(self, channel: Socket, writing: int, owner: tuple[int, int]) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            writing = _keep_only(channel.fileno(), writing)
            channel.detach()
            cell.keep(self._level, writing, self._paths, owner)
        except BaseException as error:
            try:
                os.write(writing, str(error)[:2000].encode(errors="replace"))
            finally:
                os._exit(1)

    def _uid(self, number: int) -> int | None:
        """A user of the cell's own, where we may choose one."""
        if os.getuid() != 0 or self._level == "plain":
            return None
        if self._level == "process" and not open_to_all(os.path.dirname(os.__file__)):
            return None  # another user could not import a module
        wanted = _FIRST_UID + os.getpid() * _UIDS_EACH + number % _UIDS_EACH
        for uid in (wanted, NOBODY):
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
                continue
            if self._level != "namespace":
                # A keeper that was killed leaves its orphans to us.
                end_descendants(frozenset(self._cells))
            if all(birth.number != number for birth in self._births.values()):
                self._tell({"ended": number, "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, object], descriptors: Sequence[int] = ()) -> None:
        line = dumps(message) + b"\n"
        try:
            if descriptors:
                send(self._line, line, descriptors)
            else:
                self._line.sendall(line)
        except OSError:
            return  # the worker is gone, which the next look at the line tells


class _Birth:
    """A cell that is being made.

    Attributes:
      channel: The house's end of its line.
      keeper: Its process id, 0 where none could be forked.
      told: ``READY``, or why there is none.
    """

    def __init__(self, number: int, channel: Socket, keeper: int = 0) -> None:
        self.number, self.channel, self.keeper = number, channel, keeper
        self.told = b""


def _keep_only(channel: int, writing: int) -> int:
    """Let go of all descriptors but these two; the channel gets its number, the other is told."""
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 512) for each in (channel, writing)]
    os.dup2(high[0], CHANNEL)
    os.dup2(high[1], CHANNEL + 1, inheritable=False)
    os.closerange(CHANNEL + 2, 1024)
    return CHANNEL + 1


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
