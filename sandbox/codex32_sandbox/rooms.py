"""The root directory of a program in namespaces of its own: what is not put in does not exist."""

from __future__ import annotations

import os
import sys

from codex32_sandbox import calls
from codex32_sandbox.channel import RefusedError

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Where the new root is put together; any directory that nobody needs meanwhile.
_SITE = "/sys"
#: The program's own folder, and its home.
HOME, TEMPORARY = "/step", "/tmp"  # noqa: S108 - inside its own root
#: What a program may write to; together they hold as much as it may write.
WRITABLE = (HOME, TEMPORARY, "/dev/shm")  # noqa: S108 - inside its own root
#: Where the packages of a program are shown, wherever they lie outside.
PACKAGES = "/packages"
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_TABLES = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates",
    # Not all of it: private keys lie beside these, and a program with files may be root's.
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/pki/ca-trust",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
)
_FILES = {
    "/etc/passwd": "bot:x:{uid}:{gid}:bot:/step:/none\n",
    "/etc/group": "bot:x:{gid}:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
_SEALED = calls.READ_ONLY | calls.NO_SETUID | calls.NO_DEVICES
_OF_PROCESSES = calls.NO_SETUID | calls.NO_DEVICES | calls.NO_EXECUTE
#: How many connections and letters wait at a socket, and the bytes that a connection holds each
#: way: at least, at first, at most.
_NARROW = {
    "core/somaxconn": "4",
    "unix/max_dgram_qlen": "1",
    "ipv4/tcp_rmem": "4096 65536 65536",
    "ipv4/tcp_wmem": "4096 65536 65536",
}
#: Files a program may have at once, whatever their size.
_MOST_FILES = 100_000


def shown() -> list[str]:
    """The paths of this machine that every program sees: Python, and the libraries it needs."""
    wanted = [*sys.path, sys.executable, *_LIBRARIES, *_TABLES, *_mapped()]
    paths: list[str] = []
    for path in wanted:
        inside = any(path == each or path.startswith(f"{each}/") for each in paths)
        if not inside and os.path.exists(path):
            paths.append(path)
    return paths


def _mapped() -> Iterator[str]:
    """Shared libraries of this process: Python's own may lie anywhere."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            path = line.rstrip("\n").partition("/")[2]
            if ".so" in path and not path.endswith("(deleted)"):
                yield f"/{path}"


def inside(path: str) -> str:
    """Where a path of the new root lies before that is entered."""
    return _SITE + path


def build(paths: Sequence[str], owner: tuple[int, int]) -> None:
    """Put a root together below ``/sys``, in new mount and process namespaces.

    Args:
      paths: What is shown of this machine, read-only, where it lies.
      owner: User and group that a program will be.
    """
    calls.keep_mounts_private()
    calls.mount("tmpfs", _SITE, calls.NO_SETUID | calls.NO_DEVICES, "mode=755,size=16m")
    for path in WRITABLE:
        os.makedirs(_SITE + path)
    for path in paths:
        if not os.path.ismount(_SITE + path):
            show(path, _SEALED)
    _hide_packages()
    os.makedirs(f"{_SITE}/proc")
    try:  # noqa: SIM105 - contextlib costs 3 ms of every cold start
        calls.mount("proc", f"{_SITE}/proc", _OF_PROCESSES, "subset=pid")
    except OSError:
        pass  # within some containers none can be mounted; then there is none, which harms little
    for name in _DEVICES:
        _make_place(f"{_SITE}/dev/{name}", f"/dev/{name}")
        calls.bind(f"/dev/{name}", f"{_SITE}/dev/{name}")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{_SITE}/dev/{name}")
    for path, text in _FILES.items():
        os.makedirs(os.path.dirname(_SITE + path), exist_ok=True)
        with open(_SITE + path, "w", encoding="utf-8") as file:
            file.write(text.format(uid=owner[0], gid=owner[1]))
    for path in WRITABLE:
        calls.bind(_SITE + path, _SITE + path)
        calls.restrict_mount(_SITE + path, _SEALED & ~calls.READ_ONLY)


def _hide_packages() -> None:
    """Cover what is installed for the Python that is shown: a program has what it requires."""
    empty = f"{_SITE}/none"
    os.makedirs(empty)
    library = os.path.dirname(os.__file__)
    for name in ("site-packages", "dist-packages"):
        if os.path.isdir(f"{_SITE}{library}/{name}"):
            calls.bind(empty, f"{_SITE}{library}/{name}")
            calls.restrict_mount(f"{_SITE}{library}/{name}", _SEALED)


def narrow_network() -> None:
    """Let sockets within this network hold little memory, which is the kernel's.

    What waits to be accepted has no descriptor, so that no other limit counts it.
    """
    for name, value in _NARROW.items():
        try:
            with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
                file.write(value)
        except OSError:
            continue  # an older kernel, or a container in which these cannot be changed


def show(path: str, attributes: int) -> None:
    """Show a path of this machine inside, at the same place.

    Raises:
      OSError: It is not there.
    """
    target = _SITE + path
    if os.path.islink(path) and os.path.isdir(path) and not os.path.lexists(target):
        # As /lib is a link to usr/lib where these are one.
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(os.readlink(path), target)
        return
    _make_place(target, path)
    calls.bind(path, target)
    calls.restrict_mount(target, attributes)


def _grant(path: str, attributes: int) -> None:
    """Show a path that is itself; another program may lay a link there while it is looked at."""
    place = calls.open_itself(path)
    try:
        _make_place(_SITE + path, f"/proc/self/fd/{place}")
        calls.bind(f"/proc/self/fd/{place}", _SITE + path)
    finally:
        os.close(place)
    calls.restrict_mount(_SITE + path, attributes)


def _make_place(target: str, like: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(like):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))


def require_itself(path: str) -> None:
    """Refuse a path that leads elsewhere: a link in it may have been laid by another program.

    Raises:
      RefusedError: It is not there, or is not where it says.
    """
    try:
        real = os.path.realpath(path, strict=True)
    except OSError as error:
        raise RefusedError(f"allow.files names {path}: {error.strerror}") from None
    if real != path:
        raise RefusedError(f"allow.files names {path}, which is a link or leads through one")
    if not path.strip("/") or path.split("/")[1] in ("proc", "sys", "dev"):
        raise RefusedError(f"allow.files names {path}, which no program may have")


def show_packages(folders: Sequence[str]) -> list[str]:
    """Show folders of packages, read-only; where they lie inside.

    Raises:
      OSError: One is not there.
    """
    inside = []
    for number, folder in enumerate(folders):
        place = f"{PACKAGES}/{number}"
        os.makedirs(_SITE + place)
        calls.bind(folder, _SITE + place)
        calls.restrict_mount(_SITE + place, _SEALED)
        inside.append(place)
    return inside


def writable(files: Sequence[tuple[str, bool]]) -> list[str]:
    """What Landlock shall let a program write to, of its own folders.

    What is let for a folder is let for all below. So one in which paths lie that may only be read
    is left out: their mounts are read-only, and that does not hold for what named pipes carry.
    """
    read = [path for path, may_write in files if not may_write]
    return [
        path for path in WRITABLE if not any(f"{each}/".startswith(f"{path}/") for each in read)
    ]


def enter(files: Sequence[tuple[str, bool]], disk_bytes: int, owner: tuple[int, int]) -> None:
    """Move into the root that was built; nothing else of this machine is left.

    Args:
      files: More paths to show, and whether each may be written to.
      disk_bytes: How much the program may write to its own folders.
      owner: User and group of these folders.

    Raises:
      RefusedError: A path is not there, or cannot be shown.
    """
    for path in WRITABLE:
        os.chown(_SITE + path, *owner)
    for path, writable in files:
        require_itself(path)
        try:
            _grant(path, _SEALED & ~calls.READ_ONLY if writable else _SEALED)
        except OSError as error:
            why = f"allow.files names {path}, which cannot be shown: {error.strerror}"
            raise RefusedError(why) from None
    calls.resize(_SITE, f"size={disk_bytes},nr_inodes={_MOST_FILES}")
    calls.restrict_mount(_SITE, _SEALED, recursive=False)
    calls.enter_root(_SITE)
