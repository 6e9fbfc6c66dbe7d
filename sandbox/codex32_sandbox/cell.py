"""A cell: the process in which one program will run, closed in before any of its code is seen.

The *keeper* waits for its order (``channel``), shuts the doors, starts the program's own process
and does nothing then but end it: when it is done, or when the channel closes because the worker
wants so or has died. In namespaces of its own the keeper is their first process, and with it the
kernel ends all others; elsewhere it is the parent of all orphans and ends them by hand.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys

from codex32_sandbox import program
from codex32_sandbox.channel import LISTENING, REFUSED, RefusedError, read_order, send_frame

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from typing import Any, NoReturn, TextIO

LINUX = sys.platform == "linux"
if LINUX:
    from codex32_sandbox import calls, landlock, rooms, seccomp

#: Rounds of killing what is left; each catches what the last one's victims had started.
_MAX_ROUNDS = 1000
_APART = 0x20000 | 0x4000000 | 0x8000000 | 0x20000000 | 0x40000000
#: Threads of a program that may start no process.
_MOST_THREADS = 64
#: A process that knows nothing but to wait needs little; the keeper counts as one, too.
_KEEPERS = 1
#: The descriptor under which a program has its channel.
CHANNEL = 3


def unshare_all(uid: int | None) -> tuple[int, int]:
    """Leave all namespaces but that of users, or that too; user and group of the program.

    Args:
      uid: Which user a program shall be, if we may choose.

    Raises:
      OSError: It is not permitted here.
    """
    flags = _APART | calls.NEW_CGROUP
    if uid is not None:
        try:
            calls.unshare(flags)
            return uid, uid
        except PermissionError:
            pass  # root in a container
    user, group = os.getuid(), os.getgid()
    calls.unshare(flags | calls.NEW_USERS)
    with open("/proc/self/setgroups", "w", encoding="ascii") as file:
        file.write("deny")
    for name, number in (("uid_map", user), ("gid_map", group)):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(f"{number} {number} 1")
    return user, group


def open_to_all(folder: str) -> bool:
    """Whether every user may look into a folder."""
    while folder != "/":
        if os.stat(folder).st_mode & 0o5 != 0o5:
            return False
        folder = os.path.dirname(folder)
    return True


def prepare(level: str, paths: list[str], owner: tuple[int, int]) -> None:
    """Do what can be done before an order is there; in the keeper."""
    os.setsid()
    if LINUX:
        calls.name_process("codex32-cell")
    if level != "plain":
        calls.forbid_capabilities()
    if level == "namespace":
        calls.hide_memory(hidden=True)
        rooms.build(paths, owner)
        calls.raise_loopback()


def keep(level: str, channel: socket.socket, paths: list[str], owner: tuple[int, int]) -> NoReturn:
    """Wait for the order, run the program, end with its exit code: 128 and a signal's number."""
    order, streams = read_order(channel)
    if order is None:
        os._exit(0)
    closed = level == "process" and not all(map(open_to_all, order["packages"]))
    if order["files"] or closed:
        # What belongs to the house's user is reached with the rights of that user, none more.
        owner = (os.getuid(), os.getgid())
        if owner[0] == 0 and order["processes"] > 1:
            # The kernel does not count the processes of root.
            why = "as root, a program has allow.files or several processes, not both"
            send_frame(channel, REFUSED, f"{why}; run the worker as an ordinary user")
            os._exit(0)
    try:
        _close_in(level, channel, order, owner)
    except RefusedError as error:
        send_frame(channel, REFUSED, str(error))
        os._exit(0)
    except OSError as error:
        # Not where: it would tell how the house lies on this machine.
        send_frame(channel, REFUSED, f"the program's room could not be made: {error.strerror}")
        os._exit(0)
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        if LINUX and level != "namespace":
            calls.die_with_parent()
            if os.getppid() != keeper:
                os._exit(1)
        try:
            _become_program(level, order, streams, paths, owner)
        except BaseException as error:
            send_frame(channel, REFUSED, f"{type(error).__name__}: {error}")
            os._exit(0)
        program.run(order, channel)
    for stream in streams:
        os.close(stream)
    code = _wait(child, channel)
    if level != "namespace":
        end_descendants()
    os._exit(code if code >= 0 else 128 - code)


def _close_in(
    level: str, channel: socket.socket, order: dict[str, Any], owner: tuple[int, int]
) -> None:
    if level == "namespace":
        order["packages"] = rooms.show_packages(order["packages"])
        rooms.enter([*map(tuple, order["files"])], order["disk_bytes"], owner)
        if order["network"]:
            _open_way_out(channel)
        _become_nobody(owner)
        calls.no_new_privileges()
    else:
        if level == "process":
            for path, _ in order["files"]:
                rooms.require_itself(path)
        os.mkdir(order["home"], 0o700)
        if owner[0] != os.getuid():
            os.chown(order["home"], *owner)
        if LINUX:
            calls.adopt_orphans()


def _open_way_out(channel: socket.socket) -> None:
    """Hand a listening socket of this network to the worker, which has another one to go on to."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = listening.getsockname()[1]
    send_frame(channel, LISTENING, port, listening.fileno())
    for name in ("http_proxy", "https_proxy"):
        os.environ[name] = os.environ[name.upper()] = f"http://127.0.0.1:{port}"
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"
    listening.close()


def _become_nobody(owner: tuple[int, int]) -> None:
    if owner[0] != os.getuid():
        os.setgroups([])
        os.setresgid(owner[1], owner[1], owner[1])
        os.setresuid(owner[0], owner[0], owner[0])
    calls.drop_capabilities()


def _wait(child: int, channel: socket.socket) -> int:
    """Until the child ends or is to be ended; its exit code, negative for a signal."""
    # The bell is rung by SIGCHLD; that of the zygote, which we were, is another one.
    hear, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(hear, select.POLLIN)
    poll.register(channel.fileno(), getattr(select, "POLLRDHUP", 0) | select.POLLHUP)
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == child:
            return os.waitstatus_to_exitcode(status)
        if ended == 0:
            ready = dict(poll.poll())
            if hear in ready:
                os.read(hear, 512)
            if channel.fileno() in ready:
                break
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def end_descendants(spared: frozenset[int] = frozenset()) -> None:
    """Kill all children, orphans that became ours among them, but those to be spared."""
    for _ in range(_MAX_ROUNDS):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
                children = {int(text) for text in file.read().split()} - spared
        except OSError:
            return
        if not children:
            return
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for child in children:
            os.waitpid(child, 0)


# the program's own process


def _become_program(
    level: str, order: dict[str, Any], streams: list[int], paths: list[str], owner: tuple[int, int]
) -> None:
    home = rooms.HOME if level == "namespace" else order["home"]
    os.chdir(home)
    if LINUX:
        calls.name_process("codex32-program")
    _set_streams(streams)
    os.environ.update(order["environment"])
    os.environ["HOME"] = home
    os.environ["TMPDIR"] = "/tmp" if level == "namespace" else home  # noqa: S108
    _set_limits(level, order)
    if level == "plain":
        return
    if level == "process":
        _become_nobody(owner)
        calls.no_new_privileges()
    calls.hide_memory(hidden=False)
    _restrict(level, order, paths, home)


def _restrict(level: str, order: dict[str, Any], paths: list[str], home: str) -> None:
    apart = level == "namespace"
    read = ["/"] if apart else [*paths, *order["packages"], "/dev/urandom", "/dev/random"]
    write = [*rooms.WRITABLE] if apart else [home]
    write += [f"/dev/{name}" for name in ("null", "zero", "full")]
    for path, writable in order["files"]:
        (write if writable else read).append(path)
    if landlock.version():
        landlock.restrict(read, write, tcp=apart)
    calls.filter_calls(seccomp.program_filter(alone=order["processes"] <= 1, apart=apart))


def _set_streams(streams: list[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((nothing, *streams)):
        os.dup2(stream, number)
    os.closerange(CHANNEL + 1, 1024)
    os.set_inheritable(CHANNEL, False)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = _text_stream(1), _text_stream(2)
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))


def _text_stream(number: int) -> TextIO:
    return open(
        number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )


def _set_limits(level: str, order: dict[str, Any]) -> None:
    limits: dict[str, int] = dict(order["limits"])
    if level == "namespace":
        several = order["processes"] > 1
        limits["RLIMIT_NPROC"] = _KEEPERS + (order["processes"] if several else _MOST_THREADS)
    for name, value in limits.items():
        which = getattr(resource, name, None)
        if which is None:
            continue
        _, hard = resource.getrlimit(which)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # At the soft limit of processor time a signal tells why; the hard one is the end.
        resource.setrlimit(which, (bound, bound + 1 if name == "RLIMIT_CPU" else bound))
