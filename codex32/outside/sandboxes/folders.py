"""Folders of programs: their names, and removing what was left in them, whatever they became."""

from __future__ import annotations

import itertools
import logging
import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

#: The namespace of process ids, the process whose program it is, and when that was started.
_NAME = re.compile(r"codex32-(\d+)-(\d+)-(\d+)-[0-9a-f]{16}")


def owner() -> str:
    """What tells the folders of this process's programs from all others."""
    return f"{_space() or 0}-{os.getpid()}-{_started(os.getpid()) or 0}"


def new_home(owned_by: str) -> Path:
    """Where a program may have its folder; it is not there yet."""
    return Path(tempfile.gettempdir(), f"codex32-{owned_by}-{secrets.token_hex(8)}")


def remove_orphans() -> int:
    """Remove the folders of processes that are no more; how many there were. Blocks."""
    removed, space = 0, _space()
    if not space:
        return 0
    for entry in list(os.scandir(tempfile.gettempdir())):
        found = _NAME.fullmatch(entry.name)
        if found is None or found[1] != space or found[3] == _started(int(found[2])):
            continue
        with suppress(OSError):
            remove(Path(entry.path))
            removed += 1
    if removed:
        log.info("removed %d folders that programs of ended workers left", removed)
    return removed


def _space() -> str:
    """This namespace of process ids; empty where there is no telling."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return ""


def _started(process: int) -> str:
    """When a process began, in the kernel's ticks; empty where there is none."""
    try:
        told = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return ""
    return told.rpartition(b")")[2].split()[19].decode()


def remove(folder: Path) -> None:
    """Remove a folder with all that lies in it; blocks. One that is not there is fine.

    Nothing in it runs any more, and it may be of any depth, closed to us, or a link by now.
    What lies around it keeps its permissions, and links are not followed.
    """
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    numbers = itertools.count()
    os.chmod(folder, stat.S_IRWXU)
    while entries := list(os.scandir(folder)):
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _empty(entry.path, folder, numbers)
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)
    folder.rmdir()


def _empty(path: str, folder: Path, numbers: itertools.count[int]) -> None:
    """Remove the files of a folder, and lift its folders up, so that no path grows long."""
    os.chmod(path, stat.S_IRWXU)
    for entry in list(os.scandir(path)):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, stat.S_IRWXU)
            os.rename(entry.path, folder / _free_name(folder, numbers))
        else:
            os.unlink(entry.path)


def _free_name(folder: Path, numbers: itertools.count[int]) -> str:
    return next(name for n in numbers if not os.path.lexists(folder / (name := f"lifted-{n}")))
