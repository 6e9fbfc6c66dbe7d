"""A cell: the processes in which one program will run, closed in before any of its code is seen.

The *keeper* makes the program's own process, which waits for its order (``closing.py``), and does
little then but end it: when it is done, when it is too much (``watching.py``), or when the channel
closes because the worker wants so or has died. In namespaces of its own the keeper is their first
process, and with it the kernel ends all others; elsewhere it is the parent of all orphans and ends
them by hand.
"""

from __future__ import annotations

import os
import sys

from codex32_sandbox.bare import letter_pair, signal
from codex32_sandbox.channel import FOLDER_GONE
from codex32_sandbox.closing import CHANNEL, Closing, become_nobody
from codex32_sandbox.keeping import end_descendants, wait_for
from codex32_sandbox.watching import Watch

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from typing import NoReturn

LINUX = sys.platform == "linux"
if LINUX:
    from codex32_sandbox import calls, rooms

    #: The namespaces of a cell but that of users.
    _APART = calls.NEW_MOUNTS | calls.NEW_CGROUP | calls.NEW_NAME | calls.NEW_IPC
    _APART |= calls.NEW_PIDS | calls.NEW_NETWORK


def fork_apart(uid: int | None) -> tuple[int, tuple[int, int]]:
    """Fork into new namespaces, of users only where it must be; child, and owner of a program.

    Args:
      uid: Which user a program shall be, if we may choose.

    Raises:
      OSError: It is not permitted here.
    """
    if uid is not None:
        try:
            return calls.fork_apart(_APART), (uid, uid)
        except PermissionError:
            pass  # root in a container
    owner = os.getuid(), os.getgid()
    return calls.fork_apart(_APART | calls.NEW_USERS), owner


def _be_known(user: int, group: int) -> None:
    """In a new namespace of users, which knows nobody, be who one is outside."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        if file.read():
            return
    with open("/proc/self/setgroups", "w", encoding="ascii") as file:
        file.write("deny")
    for name, number in (("uid_map", user), ("gid_map", group)):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(f"{number} {number} 1")


def keep(level: str, telling: int, paths: list[str], owner: tuple[int, int]) -> NoReturn:
    """Keep one program: end with its exit code, or with 128 and the number of its signal.

    Args:
      level: Of the sandbox, by name.
      telling: A pipe. ``READY`` is told there when the cell is, and the exit code, as one byte,
        when nothing is left of the program and of all that it started, with ``FOLDER_GONE`` behind
        it where its folder was empty and is removed. Where the kernel has to end something first,
        it is not: then this process ends before its code is known.
      paths: What every program is shown of this machine.
      owner: User and group of a program.
    """
    _prepare(level, paths, owner)
    line, theirs = letter_pair()
    child = os.fork()
    if child == 0:
        Closing(level, paths, owner, theirs).serve(telling)
    theirs.close()
    if level == "namespace":
        become_nobody(owner)
    watch = Watch(line, everyone=level == "namespace")
    code = wait_for(child, CHANNEL, watch=watch)
    if watch.exceeded:
        code = -signal.SIGXCPU
    if level != "namespace":
        end_descendants()
    code = code if code >= 0 else 128 - code
    if _childless():
        gone = FOLDER_GONE if _removed(watch.home) else b""
        os.write(telling, bytes([code]) + gone)
    os._exit(code)


def _prepare(level: str, paths: list[str], owner: tuple[int, int]) -> None:
    """Do what all processes of the cell share."""
    os.setsid()
    if LINUX:
        calls.name_process("codex32-cell")
    if level != "plain":
        calls.forbid_capabilities()
    if level == "namespace":
        _be_known(*owner)
        calls.hide_memory(hidden=True)
        calls.name_machine(b"localhost")
        rooms.build(paths, owner)
        calls.raise_loopback()
    elif LINUX:
        calls.adopt_orphans()


def _removed(home: bytes) -> bool:
    """Remove the folder of a program that left nothing in it, as most do."""
    try:
        os.rmdir(home)
    except OSError:  # there is something, or none was told
        return False
    return True


def _childless() -> bool:
    """Whether no process is left below this one, to which all orphans come."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return False
        except ChildProcessError:
            return True
