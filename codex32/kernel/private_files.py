"""Folders and small files of the user who runs the house; nobody sees one half written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def private_folder(path: Path) -> None:
    """Make a folder, and those above it, for their owner alone; what is there stays as it is."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Put ``text`` into the file, whatever was there, readable by its owner alone."""
    with _beside(path, text) as whole:
        os.replace(whole, path)


def create_private(path: Path, text: str) -> bool:
    """Make the file, unless it is there; of several who try at once one is told True."""
    with _beside(path, text) as whole:
        try:
            os.link(whole, path)
        except FileExistsError:
            return False
    return True


@contextlib.contextmanager
def _beside(path: Path, text: str) -> Iterator[str]:
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield name
    finally:
        Path(name).unlink(missing_ok=True)
