"""One ``codex32 up`` a home folder: who holds it, and what it says of itself."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from codex32.kernel.errors import FolderHeld
from codex32.kernel.private_files import private_folder


class Hold:
    """A home folder held by this process, and told who asks."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._since = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
        self.tell(None)

    @classmethod
    def taken_over(cls, number: int) -> Hold:
        """What this process held as another program, under a file descriptor."""
        return cls(open(number, "r+", encoding="utf-8"))

    @property
    def fileno(self) -> int:
        """The file descriptor that holds it."""
        return int(self._file.fileno())

    def tell(self, url: str | None) -> None:
        """Let others know the address."""
        said = json.dumps({"pid": os.getpid(), "since": self._since, "url": url})
        self._file.seek(0)
        self._file.truncate()
        self._file.write(said)
        self._file.flush()


@contextlib.contextmanager
def hold(home: Path) -> Iterator[Hold]:
    """Hold a home folder while the block runs; the kernel lets go of it however we end.

    Raises:
      FolderHeld: Another process holds it; the message says which, since when and where.
    """
    private_folder(home)
    with open(home / "up.lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise FolderHeld(_holder(file.read())) from None
        yield Hold(file)


def _holder(said: str) -> str:
    try:
        told = json.loads(said)
    except ValueError:
        return "another process"
    where = f", at {told['url']}" if told["url"] else ""
    return f"process {told['pid']} since {told['since']}{where}"
