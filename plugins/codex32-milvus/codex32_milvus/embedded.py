"""Using an embedded folder: its keeper is found, or started, and kept alive while this lives."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from codex32 import ProviderUnavailable
from codex32_milvus.keeper import ADDRESS, LOG, STARTING, USERS

_POLL_SECONDS = 0.05


class EmbeddedFolder:
    """A folder with an embedded Milvus; while one is open its keeper stays."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users: int | None = None

    def connect(self, timeout_seconds: float) -> tuple[str, str]:
        """The URI and the token of the keeper, which is started if there is none.

        Raises:
          ProviderUnavailable: It did not start in time; the message names its log.
        """
        ends_at = time.monotonic() + timeout_seconds
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._users is None:
            self._users = _locked(self._folder / USERS, fcntl.LOCK_SH, ends_at)
        if address := _address(self._folder):
            return address
        starting = _locked(self._folder / STARTING, fcntl.LOCK_EX, ends_at)
        try:
            while (address := _address(self._folder)) is None:
                _start(self._folder)
                _wait_for_address(self._folder, ends_at)
            return address
        finally:
            os.close(starting)

    def release(self) -> None:
        """Use the folder no longer; the keeper ends when nobody does."""
        if self._users is not None:
            os.close(self._users)
            self._users = None


def _locked(path: Path, kind: int, ends_at: float) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends_at:
                os.close(descriptor)
                raise ProviderUnavailable(f"{path} is held by another process") from None
            time.sleep(_POLL_SECONDS)
        else:
            return descriptor


def _address(folder: Path) -> tuple[str, str] | None:
    """Where a keeper that is alive listens."""
    try:
        said = json.loads((folder / ADDRESS).read_text())
        os.kill(said["pid"], 0)  # its port may be somebody else's by now
        with socket.create_connection(("127.0.0.1", said["port"]), timeout=2):
            return f"http://127.0.0.1:{said['port']}", said["token"]
    except (OSError, ValueError):
        return None


def _start(folder: Path) -> None:
    # It forks itself away at once; what is waited for is the one that does so.
    subprocess.run(
        [sys.executable, "-m", "codex32_milvus.keeper", str(folder.absolute())],
        check=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )


def _wait_for_address(folder: Path, ends_at: float) -> None:
    # A keeper that was killed a moment ago may hold the data a moment longer, and then the new
    # one ends at once: the caller starts another until the time is over.
    again_at = min(ends_at, time.monotonic() + 15)
    while _address(folder) is None:
        if time.monotonic() > ends_at:
            raise ProviderUnavailable(
                f"the embedded Milvus did not start; its log is {folder / LOG}"
            )
        if time.monotonic() > again_at:
            return
        time.sleep(_POLL_SECONDS)
