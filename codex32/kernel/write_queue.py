"""Whose turn it is to write to an SQLite file.

SQLite lets one connection write at a time. Who comes meanwhile sleeps, by SQLite's own way, for up
to a tenth of a second before it looks again, while a commit takes a few milliseconds: several busy
processes would mostly sleep. So the writers of this house first take a lock on a file beside the
database, for which they look every fraction of a millisecond. It only spares them the sleep:
SQLite's own locks still keep the data whole, also from programs that know nothing of this one. The
kernel lets go of the lock when its holder dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

#: Between two looks; a commit is over in a few milliseconds.
PAUSE_SECONDS = 0.0002


class WriteQueue:
    """One writer's place in the queue. Not for use by several threads.

    Args:
      path: Of the lock's file; made where it is missing.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None

    def enter(self, patience_seconds: float) -> None:
        """Wait for the turn; after ``patience_seconds`` go on without, and let SQLite decide."""
        deadline = time.monotonic() + patience_seconds
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            while time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                time.sleep(PAUSE_SECONDS)
        except OSError:  # a full disk, a file system without locks: then SQLite's sleep it is
            return

    def leave(self) -> None:
        """The next one may write."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.close()  # of a thread that ended without closing its connection
