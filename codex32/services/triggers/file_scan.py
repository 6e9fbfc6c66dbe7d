"""Which files a folder holds, as far as a trigger means them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


class Stamp(NamedTuple):
    """What changes when a file is written: bytes, and nanoseconds since 1970."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Scan:
    """The files that are there, by absolute path.

    Attributes:
      whole: Everything could be read; else what is missing may be there all the same.
    """

    files: Mapping[str, Stamp]
    whole: bool


def scan(folder: str, glob: str) -> Scan:
    """Look through ``folder``; links to folders, and links that lead out of it, are passed over.

    Names that are no UTF-8 are passed over, too: no JSON could tell them.
    """
    wanted, root = pattern(glob), os.path.realpath(folder)
    found: dict[str, Stamp] = {}
    whole, folders = True, [folder]
    while folders:
        here = folders.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if "/" in glob or "**" in glob:
                            folders.append(entry.path)
                    elif wanted.fullmatch(os.path.relpath(entry.path, folder)):
                        found.update(_stamped(entry, root))
        except FileNotFoundError:
            whole = whole and here != folder
        except OSError:
            whole = False
    return Scan(found, whole)


def _stamped(entry: os.DirEntry[str], root: str) -> Iterator[tuple[str, Stamp]]:
    try:
        entry.path.encode()
        if entry.is_symlink() and not os.path.realpath(entry.path).startswith(root + os.sep):
            return
        if entry.is_file():
            told = entry.stat()
            yield entry.path, Stamp(told.st_size, told.st_mtime_ns)
    except (FileNotFoundError, UnicodeEncodeError):
        return


@lru_cache(maxsize=1024)
def pattern(glob: str) -> re.Pattern[str]:
    """``glob`` as a regular expression over paths relative to the folder."""
    out, place = [], 0
    while place < len(glob):
        first = place == 0 or glob[place - 1] == "/"
        if glob.startswith("**/", place):
            out.append(r"(?:(?!\.)[^/]+/)*")
            place += 3
            continue
        if glob.startswith("**", place):
            out.append(r"(?:(?!\.)[^/]+/)*(?!\.)[^/]+")
            place += 2
            continue
        hidden = r"(?!\.)" if first else ""
        match glob[place]:
            case "*":
                out.append(hidden + "[^/]*")
            case "?":
                out.append(hidden + "[^/]")
            case letter:
                out.append(re.escape(letter))
        place += 1
    return re.compile("".join(out), re.DOTALL)
