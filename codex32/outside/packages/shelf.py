"""Where environments lie, and who uses them: known to every process of a home folder.

::

    locks/DIGEST.txt      what a set of requirements came to, with the digests of its wheels
    environments/DIGEST/  the packages, read-only; there once they are whole
    using/DIGEST          locked by those who use it, or make it, or take it away
    building/…            what is not whole
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codex32.kernel.requirements import canonical

_DAY = 86_400.0
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """What an environment is for: requirements, on this Python, on this kind of machine.

    Attributes:
      requires: Canonical and sorted.
      digest: Its name on the shelf.
    """

    requires: tuple[str, ...]
    python: str
    platform: str
    digest: str

    @classmethod
    def of(cls, requirements: Sequence[str]) -> Key:
        """For this Python.

        Raises:
          ValueError: One is no ``name==version``.
        """
        requires = tuple(sorted({canonical(each) for each in requirements}))
        python = f"{sys.implementation.cache_tag} {platform.python_version()}"
        machine = f"{sysconfig.get_platform()} {'-'.join(platform.libc_ver())}".strip()
        told = json.dumps([requires, python, machine])
        return cls(requires, python, machine, hashlib.sha256(told.encode()).hexdigest()[:32])


@dataclass(frozen=True, slots=True)
class Kept:
    """One environment on the shelf.

    Attributes:
      requires: What it was made for.
      packages: What that came to, as ``name==version``.
      used_at: Seconds since the epoch.
    """

    digest: str
    requires: tuple[str, ...]
    packages: tuple[str, ...]
    python: str
    bytes: int
    used_at: float


class Shelf:
    """The environments of one home folder; every call may block for some milliseconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self, digest: str) -> Path:
        """Where an environment lies once it is whole."""
        return self.folder / "environments" / digest

    def lock(self, digest: str) -> Path:
        """The file that says what an environment holds."""
        return self.folder / "locks" / f"{digest}.txt"

    def use(self, digest: str) -> int | None:
        """A descriptor that keeps an environment here until it is closed; None if it is not."""
        if not self.environment(digest).is_dir():
            return None
        held = self.hold(digest, fcntl.LOCK_SH)
        if held is None:
            return None
        if not self.environment(digest).is_dir():
            os.close(held)
            return None
        os.utime(held)
        return held

    def hold(self, digest: str, how: int = fcntl.LOCK_EX) -> int | None:
        """Take hold of an environment's place, or None where another has it."""
        path = self.folder / "using" / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return None
        return held

    @contextlib.contextmanager
    def building(self, digest: str) -> Iterator[Path]:
        """A folder to build in, by whoever holds the place; what the last one left goes first."""
        rooms = self.folder / "building"
        rooms.mkdir(parents=True, exist_ok=True)
        for left in rooms.glob(f"{digest}-*"):
            _remove(left)
        room = rooms / f"{digest}-{os.getpid()}-{time.monotonic_ns()}"
        room.mkdir(mode=0o700)
        try:
            yield room
        finally:
            _remove(room)

    def take_in(self, key: Key, built: Path) -> None:
        """Put an environment that is whole on the shelf; from then on it changes no more."""
        _seal(built)
        target = self.environment(key.digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        built.chmod(0o755)  # the folder itself can be moved by its owner only like this
        built.rename(target)
        target.chmod(0o555)

    def listing(self) -> list[Kept]:
        """All that is whole, used last first."""
        found = [self._kept(path) for path in (self.folder / "environments").glob("*")]
        return sorted(found, key=lambda each: each.used_at, reverse=True)

    def _kept(self, path: Path) -> Kept:
        about: dict[str, list[str]] = {}
        packages: list[str] = []
        with contextlib.suppress(OSError, ValueError):
            first, *lines = self.lock(path.name).read_text(encoding="utf-8").splitlines()
            about = json.loads(first.removeprefix("# "))
            packages = [line.split()[0] for line in lines if "==" in line.split(" ")[0]]
        used = self.folder / "using" / path.name
        return Kept(
            digest=path.name,
            requires=tuple(about.get("requires", ())),
            packages=tuple(packages),
            python=str(about.get("python", "")),
            bytes=_size(path),
            used_at=(used if used.exists() else path).stat().st_mtime,
        )

    def prune(
        self,
        *,
        older_than_days: float | None,
        max_mib: float | None,
        spared: str = "",
        dry_run: bool = False,
    ) -> list[Kept]:
        """Take away what nobody uses now: what was not used for long, then the oldest for room.

        Args:
          older_than_days: What was not used for so long goes; None keeps it.
          max_mib: What all may hold together; None sets no bound.
          dry_run: Only tell.
          spared: An environment that stays.

        Returns:
          What was taken away, or would be.
        """
        entries, now = self.listing(), time.time()
        room = sum(each.bytes for each in entries)
        gone = []
        for each in reversed(entries):
            old = older_than_days is not None and now - each.used_at > older_than_days * _DAY
            full = max_mib is not None and room > max_mib * _MIB
            if each.digest == spared or not (old or full):
                continue
            if dry_run or self._take_away(each.digest):
                room -= each.bytes
                gone.append(each)
        return gone

    def _take_away(self, digest: str) -> bool:
        held = self.hold(digest)
        if held is None:
            return False
        try:
            with self.building(digest) as room:
                # At once out of sight; then it may take its time.
                place = self.environment(digest)
                place.chmod(0o755)
                place.rename(room / "gone")
            return True
        finally:
            os.close(held)


def _seal(folder: Path) -> None:
    """Let everybody read and nobody write, whatever the umask was."""
    for root, folders, files in os.walk(folder):
        for name in files:
            path = os.path.join(root, name)
            if not os.path.islink(path):
                os.chmod(path, 0o555 if os.stat(path).st_mode & stat.S_IXUSR else 0o444)
        for name in folders:
            os.chmod(os.path.join(root, name), 0o555)  # noqa: S103 - they are for every cell


def _remove(folder: Path) -> None:
    for root, folders, _ in os.walk(folder):
        os.chmod(root, 0o700)
        for name in folders:
            path = os.path.join(root, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _size(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(root, name), follow_symlinks=False).st_size
    return total
