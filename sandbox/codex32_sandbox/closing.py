"""The program's own process: made ready before there is an order, and closed in when it comes.

What every program needs is there by then, so that it waits for no more than what its order names.
That is done before a line of the program is read; if any of it fails, none is.
"""

from __future__ import annotations

import os
import resource
import sys

from codex32_sandbox import program
from codex32_sandbox.bare import Socket
from codex32_sandbox.channel import (
    BEGUN,
    LISTENING,
    REFUSED,
    RefusedError,
    read_order,
    send_frame,
    send_text,
)

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from typing import Any, NoReturn, TextIO

LINUX = sys.platform == "linux"
if LINUX:
    from codex32_sandbox import calls, landlock, rooms, seccomp
    from codex32_sandbox.watching import be_watched

#: The descriptor under which a program has its channel.
CHANNEL = 3
#: Told when an order can come.
READY = b"\n"
#: Threads of a program that may start no process.
_MOST_THREADS = 64
#: A process that knows nothing but to wait needs little; the keeper counts as one, too.
_KEEPERS = 1
#: The user of all programs whose cells cannot have one each.
NOBODY = 65534


def open_to_all(folder: str) -> bool:
    """Whether every user may look into a folder."""
    while folder != "/":
        if os.stat(folder).st_mode & 0o5 != 0o5:
            return False
        folder = os.path.dirname(folder)
    return True


def become_nobody(owner: tuple[int, int]) -> None:
    """Be that user and that group, and give up every capability."""
    if owner[0] != os.getuid():
        os.setgroups([])
        os.setresgid(owner[1], owner[1], owner[1])
        os.setresuid(owner[0], owner[0], owner[0])
    calls.drop_capabilities()


class Closing:
    """Closes this process in, and runs the program in it; in a child of the keeper.

    Args:
      level: Of the sandbox, by name.
      paths: What every program is shown of this machine.
      owner: User and group of a program.
      keeper: A line to who watches what the program does.
    """

    def __init__(
        self, level: str, paths: list[str], owner: tuple[int, int], keeper: Socket
    ) -> None:
        self._level, self._apart = level, level == "namespace"
        self._owner, self._line = owner, keeper
        self._keeper = os.getppid()
        self._follow_keeper()
        _make_streams()
        if self._apart:
            _live_at(rooms.HOME, rooms.TEMPORARY)
            self._listening = _listen()
            rooms.narrow_network()
        self._rules = None
        if level != "plain":
            calls.no_new_privileges()
            self._rules = self._common_rules(paths)
            self._filters = [
                seccomp.program_filter(alone=alone, apart=self._apart) for alone in (False, True)
            ]
        program.rehearse()

    def _follow_keeper(self) -> None:
        """End with the keeper; within namespaces the kernel sees to that."""
        if LINUX and not self._apart:
            calls.die_with_parent()
            if os.getppid() != self._keeper:
                os._exit(1)

    def _common_rules(self, paths: list[str]) -> landlock.Rules | None:
        if not landlock.version():
            return None
        rules = landlock.Rules(tcp=self._apart)
        if self._apart:
            rules.allow([rooms.inside("/")])
        else:
            rules.allow([*paths, "/dev/urandom", "/dev/random"])
        rules.allow(write=[f"/dev/{name}" for name in ("null", "zero", "full")])
        return rules

    def serve(self, telling: int) -> NoReturn:
        """Tell ``READY``, wait for the order, and run its program; end with this process."""
        os.write(telling, READY)
        os.close(telling)
        try:
            channel = Socket(fileno=CHANNEL)
            order, streams = read_order(channel)
            if order is None:
                os._exit(0)
            if why := self._fault(channel, order, streams):
                send_frame(channel, REFUSED, why)
                os._exit(0)
            send_text(channel, BEGUN, b"")
            program.run(order, channel)
        finally:
            os._exit(1)

    def _fault(self, channel: Socket, order: dict[str, Any], streams: list[int]) -> str | None:
        """Close in; or why that could not be."""
        try:
            self._close_in(channel, order, streams)
        except RefusedError as error:
            return str(error)
        except OSError as error:
            # Not where: it would tell how the house lies on this machine.
            return f"the program's room could not be made: {error.strerror}"
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
        return None

    def _close_in(self, channel: Socket, order: dict[str, Any], streams: list[int]) -> None:
        owner = self._owner_of(order)
        if self._apart:
            order["packages"] = rooms.show_packages(order["packages"])
            rooms.enter([*map(tuple, order["files"])], order["disk_bytes"], owner)
            if order["network"]:
                _open_way_out(channel, self._listening)
            self._listening.close()
            home = rooms.HOME
        else:
            home = order["home"]
            self._make_home(order, owner)
            _live_at(home, home)
        os.chdir(home)
        if LINUX:
            calls.name_process("codex32-program")
        os.environ.update(order["environment"])
        if self._level != "plain":
            become_nobody(owner)
            self._follow_keeper()  # which is forgotten with the user that one was
            calls.hide_memory(hidden=False)
            self._shut_files(order, home)
            self._be_watched(order, owner, "" if self._apart else home)
        _take_streams(streams)
        self._set_limits(order, owner)
        if self._level != "plain":
            if self._apart and order["files"]:
                calls.filter_calls(seccomp.without_named_sockets())
            calls.filter_calls(self._filters[order["processes"] <= 1])

    def _owner_of(self, order: dict[str, Any]) -> tuple[int, int]:
        closed = self._level == "process" and not all(map(open_to_all, order["packages"]))
        if not (order["files"] or closed):
            return self._owner
        # What belongs to the house's user is reached with the rights of that user, none more.
        return os.getuid(), os.getgid()

    def _make_home(self, order: dict[str, Any], owner: tuple[int, int]) -> None:
        if self._level == "process":
            for path, _ in order["files"]:
                rooms.require_itself(path)
        os.mkdir(order["home"], 0o700)
        if owner[0] != os.getuid():
            os.chown(order["home"], *owner)

    def _shut_files(self, order: dict[str, Any], home: str) -> None:
        if self._rules is None:
            return
        if self._apart:
            writable = rooms.writable(order["files"])
            self._rules.allow(write=writable)
            if rooms.TEMPORARY not in writable:
                _live_at(home, home)
        else:
            self._rules.allow(order["packages"], [home])
        for path, writable in order["files"]:
            self._rules.allow_itself(path, writable=writable)
        self._rules.enforce()

    def _be_watched(self, order: dict[str, Any], owner: tuple[int, int], home: str) -> None:
        """Have the keeper count what the kernel does not, as far as anybody must."""
        counted = not self._counted_by_kernel(owner)
        listener = calls.ask_about_calls(seccomp.counting()) if counted else None
        seconds = order["limits"].get("RLIMIT_CPU", 0) if order["processes"] > 1 else 0
        if counted or seconds:
            be_watched(self._line, listener, _most_tasks(order), seconds, home)

    def _counted_by_kernel(self, owner: tuple[int, int]) -> bool:
        """Whether it is the only program of its user, who is not root, which is never counted."""
        return self._apart and owner[0] not in (0, NOBODY)

    def _set_limits(self, order: dict[str, Any], owner: tuple[int, int]) -> None:
        limits: dict[str, int] = dict(order["limits"])
        if self._counted_by_kernel(owner):
            limits["RLIMIT_NPROC"] = _KEEPERS + _most_tasks(order)
        for name, value in limits.items():
            which = getattr(resource, name, None)
            if which is None:
                continue
            _, hard = resource.getrlimit(which)
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            # At the soft limit of processor time a signal tells why; the hard one is the end.
            resource.setrlimit(which, (bound, bound + 1 if name == "RLIMIT_CPU" else bound))


def _most_tasks(order: dict[str, Any]) -> int:
    """Processes and threads, all of which are counted where there may be several processes."""
    most: int = order["processes"]
    return most if most > 1 else _MOST_THREADS


def _live_at(home: str, temporary: str) -> None:
    os.environ["HOME"], os.environ["TMPDIR"] = home, temporary


def _listen() -> Socket:
    """What a way out begins with, made while many may still wait to be accepted."""
    listening = Socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    return listening


def _open_way_out(channel: Socket, listening: Socket) -> None:
    """Hand a listening socket of this network to the worker, which has another one to go on to."""
    port = listening.getsockname()[1]
    send_frame(channel, LISTENING, port, listening.fileno())
    for name in ("http_proxy", "https_proxy"):
        os.environ[name] = os.environ[name.upper()] = f"http://127.0.0.1:{port}"
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"


def _make_streams() -> None:
    """Streams that lead nowhere yet, of the kind that they will be."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    nobody, nowhere = os.pipe()
    for number, stream in enumerate((nothing, nowhere, nowhere)):
        os.dup2(stream, number)
    for each in (nothing, nobody, nowhere):
        os.close(each)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = _text_stream(1), _text_stream(2)
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))


def _text_stream(number: int) -> TextIO:
    return open(
        number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )


def _take_streams(streams: list[int]) -> None:
    """Write to the streams of the order from now on, and hold nothing else but the channel."""
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
    os.closerange(CHANNEL + 1, 1024)
    os.set_inheritable(CHANNEL, False)
