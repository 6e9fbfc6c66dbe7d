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


#: Folders that ``**`` goes through: none that is hidden.
_FOLDERS = r"(?:(?!\.)[^/]+/)*"


@lru_cache(maxsize=1024)
def pattern(glob: str) -> re.Pattern[str]:
    """``glob`` as a regular expression over paths relative to the folder.

    What stands between two stars is taken where it comes first, for good: if the rest does not
    fit then, it never does. To try all other places would take for ever where there are many.
    """
    names = glob.split("/")
    #: The names before the first ``**``, and behind each.
    runs: list[list[str]] = [[]]
    for place, name in enumerate(names):
        rest = name.lstrip("*")
        if name.startswith("**"):
            if runs[-1] or len(runs) == 1:  # several in a row are one
                runs.append([])
            if not rest and place < len(names) - 1:
                continue
            name = f"*{rest}"
        runs[-1].append(_name(name))
    first, *between = ["/".join(run) for run in runs]
    if not between:
        return re.compile(first, re.DOTALL)
    last = between.pop()
    out = [first + "/" if runs[0] else "", *(f"(?>{_FOLDERS}?{each}/)" for each in between)]
    return re.compile("".join([*out, _FOLDERS, last]), re.DOTALL)


def _name(glob: str) -> str:
    """A name, in which a star stands for any letters."""
    escaped = (
        "".join("[^/]" if c == "?" else re.escape(c) for c in part) for part in glob.split("*")
    )
    hidden = r"(?!\.)" if glob[:1] in ("*", "?") else ""
    head, *between = escaped
    if not between:
        return hidden + head
    last = between.pop()
    return f"{hidden}{head}{''.join(f'(?>[^/]*?{each})' for each in between if each)}[^/]*{last}"
