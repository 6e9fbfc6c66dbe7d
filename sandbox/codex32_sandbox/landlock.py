"""Landlock: which files a process may reach, enforced by the kernel for it and its children."""

from __future__ import annotations

import os
import stat
import struct

from codex32_sandbox.calls import open_itself, syscall

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
#: What can be said of something that is no directory.
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
#: Rights that a version of the interface knows, as how many bits.
_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_MOST_BITS = 16
_TCP = 3
_SCOPES = 3


def version() -> int:
    """The version of the interface, 0 where there is none."""
    try:
        return syscall(_CREATE, None, 0, _ASK_VERSION)
    except OSError:
        return 0


class Rules:
    """The paths that a process will reach, with what lies below them, and no other.

    Where the interface knows how, signals and abstract sockets reach no process outside, and
    without ``tcp`` no TCP port is reached.
    """

    def __init__(self, *, tcp: bool) -> None:
        found = version()
        self._handled = (1 << _BITS.get(found, _MOST_BITS)) - 1
        network = _TCP if found >= 4 and not tcp else 0
        scopes = _SCOPES if found >= 6 else 0
        length = 8 if found < 4 else 16 if found < 6 else 24
        rules = struct.pack("QQQ", self._handled, network, scopes)[:length]
        self._ruleset = syscall(_CREATE, rules, length, 0)

    def allow(self, read: Iterable[str] = (), write: Iterable[str] = ()) -> None:
        """Add paths; one that is not there is passed over."""
        for paths, rights in ((read, _READ), (write, self._handled)):
            for path in paths:
                try:
                    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
                except OSError:
                    continue
                self._add(place, rights & self._handled)

    def allow_itself(self, path: str, *, writable: bool) -> None:
        """Add a path that another program may make a link of while it is looked at.

        Raises:
          OSError: It is one, or is not there.
        """
        rights = self._handled if writable else _READ
        self._add(open_itself(path), rights & self._handled)

    def _add(self, place: int, rights: int) -> None:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _ON_FILES
        syscall(_ADD, self._ruleset, _RULE_PATH, struct.pack("=Qi", rights, place), 0)
        os.close(place)

    def enforce(self) -> None:
        """Let this process reach nothing else from now on."""
        syscall(_RESTRICT, self._ruleset, 0)
        os.close(self._ruleset)
