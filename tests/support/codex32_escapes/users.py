"""Running a command as an ordinary user, or as root, whoever we are."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_ORDINARY = 1234
_NEW_MOUNTS, _NEW_USERS = 0x20000, 0x10000000
_PRIVATE, _RECURSIVE, _BIND = 1 << 18, 1 << 14, 1 << 12


def run_as(
    user: str, command: Sequence[str], environment: Mapping[str, str], reaching: Sequence[Path]
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` as ``root``, ``small root`` or ``ordinary``; what it prints is answered.

    An ordinary user is let through to ``reaching``, where a folder on the way is closed to others,
    in a view of the machine of its own. Root, where we are not, is the root of a namespace.
    A small root has only the usual users, or as few as we can give.
    """
    become: Callable[[], None] | None = None
    if user == "ordinary" and os.getuid() == 0:
        become = _ordinary(reaching)
    elif user == "root" and os.getuid() != 0:
        become = _root
    elif user == "small root":
        become = _root if os.getuid() else _small_root
    return subprocess.run(
        command,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=170,
        cwd="/",
        preexec_fn=become,
    )


def _ordinary(reaching: Sequence[Path]) -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
        result = libc.mount(
            source.encode(), target.encode(), kind and kind.encode(), flags, options.encode()
        )
        if result:
            raise OSError(ctypes.get_errno(), f"mount {target}")

    def become() -> None:
        if libc.unshare(_NEW_MOUNTS):
            raise OSError(ctypes.get_errno(), "unshare")
        mount("none", "/", None, _PRIVATE | _RECURSIVE)
        # All are taken hold of first: what covers the way to one may cover another.
        behind = {path: _first_closed(path) for path in reaching}
        held = {path: os.open(path, os.O_PATH) for path in reaching if behind[path]}
        for closed in {behind[path] for path in held}:
            mount("none", str(closed), "tmpfs", 0, "mode=755")
        for path, descriptor in held.items():
            path.mkdir(parents=True, exist_ok=True)
            mount(f"/proc/self/fd/{descriptor}", str(path), None, _BIND | _RECURSIVE)
            os.close(descriptor)
        os.setgroups([])
        os.setgid(_ORDINARY)
        os.setuid(_ORDINARY)

    return become


def _first_closed(path: Path) -> Path | None:
    for each in reversed([path, *path.parents]):
        if not each.stat().st_mode & 0o1:
            return each
    return None


def _small_root() -> None:
    waiting, begun = os.pipe()
    process, writer = os.getpid(), os.fork()
    if writer == 0:  # still of the namespace above, which alone may give more than one user
        try:
            os.close(begun)
            os.read(waiting, 1)
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{process}/{name}").write_text("0 0 65536")
        finally:
            os._exit(0)
    _begin_users()
    os.close(begun)
    os.waitpid(writer, 0)
    os.close(waiting)


def _begin_users() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_USERS):
        raise OSError(ctypes.get_errno(), "unshare")


def _root() -> None:
    user, group = os.getuid(), os.getgid()
    _begin_users()
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
