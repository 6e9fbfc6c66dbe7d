"""A small disk that can be filled: a file system in memory, mounted where that is allowed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MEBIBYTE = 2**20
# A user without rights makes a namespace of their own, in which they may mount; others see the
# disk through the process that lives there.
_HOLDER = 'mount -t tmpfs -o "size=$2,mode=0777" tmpfs "$1" && echo ready && exec cat'


class Disk:
    """A file system that holds only so much."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave not a byte."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * _MEBIBYTE)
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass

    @property
    def full(self) -> bool:
        """Whether it was filled and not emptied since."""
        return self._ballast.exists()

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(mebibytes: int) -> Iterator[Disk]:
    """A disk of this size, which any user may use."""
    with tempfile.TemporaryDirectory(prefix="codex32-disk-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        mounted = _mounted if os.geteuid() == 0 else _held
        with mounted(folder, f"{mebibytes}m") as disk:
            yield disk


@contextmanager
def _mounted(folder: Path, size: str) -> Iterator[Disk]:
    options = f"size={size},mode=0777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def _held(folder: Path, size: str) -> Iterator[Disk]:
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _HOLDER, "sh"]
    with subprocess.Popen(
        [*command, str(folder), size], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "this user may mount nothing"
        try:
            yield Disk(Path(f"/proc/{holder.pid}/root{folder}"))
        finally:
            holder.kill()
