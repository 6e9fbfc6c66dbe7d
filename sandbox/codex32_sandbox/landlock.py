"""Landlock: which files a process may reach, enforced by the kernel for it and its children."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from codex32_sandbox.calls import syscall

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


def restrict(read: Iterable[str], write: Iterable[str], *, tcp: bool) -> None:
    """Let this process reach the paths named, and what lies below them, and no other.

    Where the interface knows how, signals and abstract sockets reach no process outside, and
    without ``tcp`` no TCP port is reached. A path that is not there is passed over.
    """
    found = version()
    handled = (1 << _BITS.get(found, _MOST_BITS)) - 1
    network = _TCP if found >= 4 and not tcp else 0
    scopes = _SCOPES if found >= 6 else 0
    length = 8 if found < 4 else 16 if found < 6 else 24
    rules = struct.pack("QQQ", handled, network, scopes)[:length]
    ruleset = syscall(_CREATE, rules, length, 0)
    for paths, rights in ((read, _READ), (write, handled)):
        for path in paths:
            _add(ruleset, path, rights & handled)
    syscall(_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        rights &= _ON_FILES
    syscall(_ADD, ruleset, _RULE_PATH, struct.pack("=Qi", rights, place), 0)
    os.close(place)
