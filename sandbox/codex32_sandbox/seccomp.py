"""Which system calls a program may make, as a filter of classic BPF."""

from __future__ import annotations

import errno
import os
import struct

from codex32_sandbox.calls import (
    MACHINE,
    NEW_CGROUP,
    NEW_IPC,
    NEW_MOUNTS,
    NEW_NAME,
    NEW_NETWORK,
    NEW_PIDS,
    NEW_USERS,
)
from codex32_sandbox.syscalls import (
    ARCHITECTURES,
    LAST,
    MODES,
    NEVER,
    NOT_AMONG_OTHERS,
    NUMBERS,
    OF_ATTRIBUTES,
    PRETENDED,
    SENDING,
)

_LOAD, _EQUAL, _GREATER, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERROR, _ASK = 0x7FFF0000, 0x80000000, 0x00050000, 0x7FC00000
#: Where ``struct seccomp_data`` holds what is looked at; of arguments the lower half.
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_THREAD = 0x10000
_NEW_NAMESPACES = NEW_MOUNTS | NEW_CGROUP | NEW_NAME | NEW_IPC | NEW_USERS | NEW_PIDS | NEW_NETWORK
_UNIX, _INET, _INET6 = 1, 2, 10
_STREAM, _KIND = 1, 0xF
#: The usual one, TCP and UDP. Asked for others, the kernel loads modules that few have looked at.
_PROTOCOLS = (0, 6, 17)
#: SO_LINGER, and SO_SNDBUF and SO_RCVBUF, by which more of the kernel's memory could be had. The
#: same numbers mean TCP_CONGESTION, IP_PKTINFO and the like, which nobody needs here.
_OF_SOCKETS = (13, 7, 8)
#: Typing into a terminal, and having signals sent by descriptors.
_TERMINAL_CALLS = (0x5412, 0x541C)
_OWNER_CALLS = (0x8901, 0x8902)
#: Questions to terminals and to sockets, by the byte that tells whom they are for. All others are
#: for devices, and for file systems: which change a file also for who may only read it.
_KINDS_OF_CALLS, _KIND_OF_CALL = (0x5400, 0x8900), 0xFF00
#: PR_SET_SECCOMP: filters hold memory that is nobody's; and PR_SET_PDEATHSIG.
_FILTERS, _FOLLOWING = 22, 1
_OUT_OF_BAND = 1
#: Having signals sent, holding up whoever opens a file, and what a pipe holds.
_CALLS_OF_FILES = (8, 10, 15, 1024, 1026, 1031)

#: S_ISUID and S_ISGID.
_OTHER_USER = 0o6000

SUPPORTED = MACHINE in ARCHITECTURES
_kept: dict[tuple[bool, bool], _Filter] = {}


def program_filter(*, alone: bool, apart: bool) -> bytes:
    """The filter of a program, for this process.

    Args:
      alone: It may start no further process, only threads.
      apart: It lives in namespaces of its own, with a network that leads nowhere.
    """
    filter_ = _common(alone, apart).copy()
    if not apart:
        for name in ("kill", "tgkill"):
            filter_.refuse_unless(name, 0, (os.getpid(),))
    return filter_.finish()


def _common(alone: bool, apart: bool) -> _Filter:
    """What does not depend on the process; kept by the zygote, so that no cell makes it."""
    if (alone, apart) in _kept:
        return _kept[alone, apart]
    filter_ = _kept[alone, apart] = _Filter()
    for name in NEVER:
        filter_.refuse(name, errno.EPERM)
    filter_.refuse("clone3", errno.ENOSYS)  # what it wants cannot be seen; clone is tried then
    filter_.refuse("openat2", errno.ENOSYS)  # its mode cannot be seen; openat is tried then
    for name in PRETENDED:
        filter_.refuse(name, 0)
    for name, place in MODES.items():
        filter_.refuse_bits(name, place, _OTHER_USER)
    for name, place in SENDING.items():
        # What is sent beside the others broke kernels, and nobody listens for it.
        filter_.refuse_bits(name, place, _OUT_OF_BAND)
    if alone:
        filter_.refuse("fork", errno.EPERM)
        filter_.refuse("vfork", errno.EPERM)
        filter_.refuse_unless_bits("clone", 0, _THREAD)
    filter_.refuse_bits("clone", 0, _NEW_NAMESPACES)
    # A socket that lingers holds up whoever closes it last, and descriptors can be handed on.
    filter_.refuse_values("setsockopt", 2, _OF_SOCKETS)
    filter_.refuse_values("ioctl", 1, _TERMINAL_CALLS + _OWNER_CALLS)
    filter_.refuse_unless("ioctl", 1, _KINDS_OF_CALLS, mask=_KIND_OF_CALL, error=errno.EOPNOTSUPP)
    filter_.refuse_values("prctl", 0, (_FILTERS,) if apart else (_FILTERS, _FOLLOWING))
    filter_.refuse_values("fcntl", 1, _CALLS_OF_FILES)
    filter_.refuse_unless("prlimit64", 0, (0,))
    if apart:
        filter_.refuse_unless("socket", 0, (_UNIX, _INET, _INET6), error=errno.EAFNOSUPPORT)
        filter_.refuse_unless("socket", 2, _PROTOCOLS, error=errno.EPROTONOSUPPORT)
    else:
        for name in NOT_AMONG_OTHERS:
            filter_.refuse(name, errno.EPERM)
        for name in OF_ATTRIBUTES:
            filter_.refuse(name, errno.EOPNOTSUPP)
        filter_.refuse_unless("socketpair", 1, (_STREAM,), mask=_KIND)
    return filter_


def without_named_sockets() -> bytes:
    """A filter beside the other, for a program that is shown paths of this machine.

    A server may have a socket there, and no mount and no version of Landlock that is about keeps
    one from being connected to. A pair of sockets of a stream leads nowhere else.
    """
    filter_ = _Filter()
    filter_.refuse_values("socket", 0, (_UNIX,))
    filter_.refuse_unless("socketpair", 1, (_STREAM,), mask=_KIND)
    return filter_.finish()


def counting() -> bytes:
    """A filter beside the other, which has the keeper asked for each process and each thread."""
    filter_ = _Filter()
    for name in ("fork", "vfork", "clone"):
        filter_.ask(name)
    return filter_.finish()


def make_ready(*, apart: bool) -> None:
    """Do what can be done before there is a program."""
    for alone in (True, False):
        _common(alone, apart)


class _Filter:
    """Puts the instructions together, one system call after the other."""

    def __init__(self) -> None:
        self._numbers = NUMBERS[MACHINE]
        self._code = [
            _step(_LOAD, _ARCHITECTURE),
            _step(_EQUAL, ARCHITECTURES[MACHINE], yes=1),
            _step(_RETURN, _KILL),
            _step(_LOAD, _NUMBER),
            _step(_GREATER, LAST, no=1),
            _step(_RETURN, _ERROR | errno.ENOSYS),
        ]

    def copy(self) -> _Filter:
        """Another one to go on with."""
        other = _Filter()
        other._code = list(self._code)
        return other

    def refuse(self, name: str, error: int) -> None:
        """Refuse a call, whatever its arguments."""
        if name in self._numbers:
            self._code += [
                _step(_EQUAL, self._numbers[name], no=1),
                _step(_RETURN, _ERROR | error),
            ]

    def ask(self, name: str) -> None:
        """Have somebody asked about a call."""
        if name in self._numbers:
            self._code += [_step(_EQUAL, self._numbers[name], no=1), _step(_RETURN, _ASK)]

    def refuse_values(self, name: str, place: int, values: tuple[int, ...]) -> None:
        """Refuse a call where an argument is one of ``values``."""
        tests = []
        for value in values:
            tests += [_step(_EQUAL, value, no=1), _step(_RETURN, _ERROR | errno.EPERM)]
        self._looking_at(name, place, tests)

    def refuse_unless(
        self,
        name: str,
        place: int,
        values: tuple[int, ...],
        *,
        mask: int | None = None,
        error: int = errno.EPERM,
    ) -> None:
        """Refuse a call where an argument, of which ``mask`` counts, is none of ``values``."""
        tests = [] if mask is None else [_step(_AND, mask)]
        for left, value in zip(range(len(values) - 1, -1, -1), values, strict=True):
            tests.append(_step(_EQUAL, value, yes=left + 1))
        self._looking_at(name, place, [*tests, _step(_RETURN, _ERROR | error)])

    def refuse_bits(self, name: str, place: int, bits: int) -> None:
        """Refuse a call where an argument has any of ``bits``."""
        refused = _step(_RETURN, _ERROR | errno.EPERM)
        self._looking_at(name, place, [_step(_ANY_BIT, bits, no=1), refused])

    def refuse_unless_bits(self, name: str, place: int, bits: int) -> None:
        """Refuse a call where an argument has none of ``bits``."""
        refused = _step(_RETURN, _ERROR | errno.EPERM)
        self._looking_at(name, place, [_step(_ANY_BIT, bits, yes=1), refused])

    def _looking_at(self, name: str, place: int, tests: list[bytes]) -> None:
        if name not in self._numbers:
            return
        argument = _step(_LOAD, _ARGUMENT + 8 * place)
        block = [argument, *tests, _step(_LOAD, _NUMBER)]
        self._code += [_step(_EQUAL, self._numbers[name], no=len(block)), *block]

    def finish(self) -> bytes:
        """All of it; what was not refused is allowed."""
        return b"".join([*self._code, _step(_RETURN, _ALLOW)])


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)
