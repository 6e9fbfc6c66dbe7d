"""Which bot files some folders hold, and how each looked when it was last seen."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codex32.kernel.problems import Problem

_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when a file does; ``modified_at`` in seconds since the epoch."""

    modified_ns: int
    size: int
    device: int
    inode: int
    regular: bool

    @property
    def modified_at(self) -> float:
        """When it was written last."""
        return self.modified_ns / 1e9


@dataclass(slots=True)
class Found:
    """What a look at the folders found.

    Attributes:
      files: Bot files by absolute path; links are followed.
      problems: Folders that could not be looked into, by path.
    """

    files: dict[str, Stamp] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)

    def hides(self, path: str) -> bool:
        """Whether ``path`` lies where nothing could be seen."""
        return any(Path(path).is_relative_to(folder) for folder in self.problems)


def look(folders: Sequence[Path], devices: MutableMapping[Path, int]) -> Found:
    """All bot files of ``folders``, at any depth; hidden and temporary ones are passed over.

    Args:
      folders: Absolute paths.
      devices: On which device each folder was when it was seen last: an empty folder on another
        one is the place of a file system that is not mounted.
    """
    found = Found()
    seen: set[tuple[int, int]] = set()
    for folder in folders:
        place = str(folder)
        try:
            about = folder.stat()
            empty = not any(folder.iterdir())
        except OSError as error:
            found.problems[place] = _problem(place, f"the folder cannot be read: {error.strerror}")
            continue
        if empty and devices.get(folder, about.st_dev) != about.st_dev:
            found.problems[place] = _problem(
                place, "the folder is empty and was on another device"
            )
            continue
        devices[folder] = about.st_dev
        _descend(place, (), seen, found)
    return found


def stamp(path: str | Path) -> Stamp | None:
    """How the file looks now; None where there is none."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return _stamp(about)


def stamps(path: str, beside: Sequence[str]) -> Mapping[str, Stamp | None]:
    """How a file looks, and the files named relative to its folder."""
    folder = os.path.dirname(path)
    return {each: stamp(each) for each in (path, *(os.path.join(folder, b) for b in beside))}


def _descend(
    folder: str, above: tuple[tuple[int, int], ...], seen: set[tuple[int, int]], found: Found
) -> None:
    try:
        about = os.stat(folder)
        here = (about.st_dev, about.st_ino)
        if here in above:
            message = "this link leads back to a folder that it lies in, and is passed over"
            found.problems[folder] = _problem(folder, message)
        if here in seen:
            return
        seen.add(here)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.problems[folder] = _problem(folder, f"the folder cannot be read: {error.strerror}")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            _descend(entry.path, (*above, here), seen, found)
        elif entry.name.endswith(_ENDINGS):
            _take(entry, found)


def _take(entry: os.DirEntry[str], found: Found) -> None:
    try:
        found.files[entry.path] = _stamp(entry.stat())
    except OSError as error:
        if entry.is_symlink():  # to nowhere, or to itself
            found.problems[entry.path] = _problem(
                entry.path, f"the link cannot be followed: {error.strerror}"
            )


def _stamp(about: os.stat_result) -> Stamp:
    return Stamp(
        about.st_mtime_ns,
        about.st_size,
        about.st_dev,
        about.st_ino,
        stat.S_ISREG(about.st_mode),
    )


def _problem(path: str, message: str) -> Problem:
    return Problem(message, file=path, code="unreadable")
