"""Files read where they are, and not where a link would lead.

A bot may write to a folder that another one indexes, and lay a link there at any moment, also
between a look at a path and its opening. The house would follow it, to whatever it may read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from codex32.kernel.errors import CapabilityRefused

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def bytes_of(file: Path) -> bytes:
    """The bytes of a file at an absolute path, of which no part is a link.

    Raises:
      OSError: It is not there, cannot be read, or is reached through a link.
    """
    with os.fdopen(_opened(file), "rb") as stream:
        return stream.read()


def why_closed(file: Path) -> str | None:
    """Why :func:`bytes_of` would fail; None where it would not."""
    try:
        os.close(_opened(file))
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _opened(file: Path) -> int:
    place = os.open(file.anchor, _FOLDER)
    try:
        for name in file.parts[1:-1]:
            inner = os.open(name, _FOLDER, dir_fd=place)
            os.close(place)
            place = inner
        return os.open(file.name, _FILE, dir_fd=place)
    finally:
        os.close(place)


def granted(path: Path, grants: Iterable[str]) -> Path:
    """Where a path leads, if that is one of ``grants`` or below one, and this one is no link.

    Raises:
      CapabilityRefused: It is neither.
    """
    real = path.resolve()
    links = []
    for each in map(os.path.normpath, grants):
        if os.path.realpath(each) != each:
            links.append(each)
        elif real.is_relative_to(each):
            return real
    for each in links:
        if path.is_relative_to(each):
            why = f"allow.files names {each}, which is a link or leads through one; name the place"
            raise CapabilityRefused("files", str(path), why)
    raise CapabilityRefused("files", str(path))
