"""Removing what a program left in its folder, whatever it made of it."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path


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
