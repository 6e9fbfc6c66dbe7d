"""System calls of Linux that Python's library does not offer."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

from codex32_sandbox.bare import Socket

_libc = ctypes.CDLL(None, use_errno=True)
#: The same, called without letting go of the lock of the interpreter.
_python = ctypes.PyDLL(None, use_errno=True)

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_LAST_CAPABILITY = 63
_CAPABILITY_VERSION_3 = 0x20080522

NEW_TIME = 0x80
NEW_MOUNTS = 0x20000
NEW_CGROUP = 0x2000000
NEW_NAME = 0x4000000
NEW_IPC = 0x8000000
NEW_USERS = 0x10000000
NEW_PIDS = 0x20000000
NEW_NETWORK = 0x40000000

READ_ONLY, NO_SETUID, NO_DEVICES, NO_EXECUTE = 1, 2, 4, 8
_BIND, _RECURSIVE, _PRIVATE, _REMOUNT = 4096, 16384, 1 << 18, 32
_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_SIGCHLD = 17

#: Numbers that differ between machines; those above 423 are the same everywhere.
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CLONE = {"x86_64": 56, "aarch64": 220}
_SECCOMP, _NEW_LISTENER = {"x86_64": 317, "aarch64": 277}, 8
_MOUNT_SETATTR = 442
_OPENAT2, _NO_LINKS = 437, 6

MACHINE = os.uname().machine


def syscall(number: int, *arguments: object) -> int:
    """Call the kernel by number.

    Raises:
      OSError: As the kernel answers.
    """
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments))


def _checked(result: int, what: str = "") -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what or None)
    return result


def _prctl(option: int, *arguments: int) -> int:
    filled = [*arguments, 0, 0, 0, 0][:4]
    return _checked(_libc.prctl(option, *(ctypes.c_ulong(each) for each in filled)))


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, 9)


def name_process(name: str) -> None:
    """Call this process by a name of up to 15 letters, for those who list processes."""
    _checked(_libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0))


def name_machine(name: bytes) -> None:
    """Call this machine so in the namespace of names that this process is in."""
    _checked(_libc.sethostname(name, len(name)), "sethostname")
    _checked(_libc.setdomainname(b"", 0), "setdomainname")


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_memory(hidden: bool) -> None:
    """Refuse, or permit, that processes of the same user look into this one."""
    _prctl(_PR_SET_DUMPABLE, 0 if hidden else 1)


def no_new_privileges() -> None:
    """From now on no program that is executed gains anything, setuid or not."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def filter_calls(program: bytes) -> None:
    """Have the kernel judge each further system call by a program of classic BPF."""
    code = ctypes.create_string_buffer(program, len(program))
    header = _filter_header(code)
    _prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(header))


def ask_about_calls(program: bytes) -> int:
    """The same, for a program that has somebody asked; where they are, as a descriptor."""
    code = ctypes.create_string_buffer(program, len(program))
    header = _filter_header(code)
    return syscall(_SECCOMP[MACHINE], 1, _NEW_LISTENER, ctypes.byref(header))


def _filter_header(code: ctypes.Array[ctypes.c_char]) -> ctypes.Array[ctypes.c_char]:
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(code))
    return ctypes.create_string_buffer(header)


def forbid_capabilities() -> None:
    """Let no program that is executed ever have a capability."""
    for number in range(_LAST_CAPABILITY + 1):
        try:
            _prctl(_PR_CAPBSET_DROP, number)
        except OSError:
            break  # EINVAL: the kernel knows no more of them; EPERM: there are none to give up
    try:  # noqa: SIM105 - contextlib costs 3 ms of every cold start
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    except OSError:
        pass  # older than 4.3


def drop_capabilities() -> None:
    """Give up every capability."""
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    _checked(_libc.capset(header, ctypes.create_string_buffer(24)), "capset")


def fork_apart(flags: int) -> int:
    """``os.fork``, with the child as the first process of new namespaces, which ``flags`` name.

    After ``unshare`` it would take a second fork to be in a new namespace of processes.
    """
    _python.PyOS_BeforeFork()
    child: int = _python.syscall(ctypes.c_long(_CLONE[MACHINE]), flags | _SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        _python.PyOS_AfterFork_Child()
    else:
        _python.PyOS_AfterFork_Parent()
    return _checked(child, "clone")


def mount(kind: str, target: str, flags: int = 0, options: str = "") -> None:
    """Mount a file system of the kernel's own: ``tmpfs``, ``proc``."""
    _mount(kind, target, kind, flags, options)


def resize(target: str, options: str) -> None:
    """Change the options of a mounted ``tmpfs``."""
    _mount(None, target, None, _REMOUNT, options)


def open_itself(path: str) -> int:
    """A descriptor by which a path can be named, whatever comes to lie there afterwards.

    Raises:
      OSError: There is nothing, or a link is part of it.
    """
    how = struct.pack("QQQ", os.O_PATH | os.O_CLOEXEC, 0, _NO_LINKS)
    return syscall(_OPENAT2, _AT_FDCWD, os.fsencode(path), how, len(how))


def bind(source: str, target: str) -> None:
    """Show what lies at ``source``, and all that is mounted there, at ``target`` as well."""
    _mount(source, target, None, _BIND | _RECURSIVE, "")


def keep_mounts_private() -> None:
    """Let no mount of ours be seen in other namespaces."""
    _mount(None, "/", None, _PRIVATE | _RECURSIVE, "")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str) -> None:
    result = _libc.mount(
        source and os.fsencode(source),
        os.fsencode(target),
        kind and kind.encode(),
        ctypes.c_ulong(flags),
        options.encode(),
    )
    _checked(result, f"mount {target}")


def restrict_mount(target: str, attributes: int, *, recursive: bool = True) -> None:
    """Add attributes (``READ_ONLY`` …) to what is mounted at ``target``; needs Linux 5.12."""
    wanted = struct.pack("QQQQ", attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), flags, wanted, len(wanted))


def enter_root(target: str) -> None:
    """Make ``target`` the root and let go of the old one, with all that is mounted in it."""
    os.chdir(target)
    syscall(_PIVOT_ROOT[MACHINE], b".", b".")
    _checked(_libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")


def raise_loopback() -> None:
    """Bring the loopback device of a new network namespace up."""
    any_socket = Socket()
    try:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    finally:
        any_socket.close()
