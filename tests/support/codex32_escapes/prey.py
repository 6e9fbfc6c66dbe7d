"""What programs must not reach, and whether they did."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Prey:
    """Files, sockets, processes and this process itself.

    Attributes:
      given: Where they are, for the programs.
    """

    def __init__(self, folder: Path, victim: subprocess.Popen[bytes]) -> None:
        self.word = f"s3cret-{secrets.token_hex(12)}"
        # As a worker has its secrets; programs must not inherit them.
        os.environ["CODEX32_SECRET_TOKEN"] = self.word
        self._folder, self._victim = folder, victim
        self._file = folder / "file"
        self._other = folder.with_name(f"codex32-{secrets.token_hex(8)}")
        self._other.mkdir(mode=0o700)
        (self._other / "theirs").write_text(self.word)
        self._file.write_text(self.word)
        (folder / "codex32.db").write_text(self.word)
        self._servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        self._named, self._abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self._named.bind(str(folder / "named"))
        self._abstract.bind(f"\0{self.word}")
        self._servers += [self._named, self._abstract]
        self._letters = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._letters.bind(str(folder / "letters"))
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", 0))
        for each in self._servers:
            each.listen()
        for each in (*self._servers, self._letters, self._datagrams):
            each.setblocking(False)
        ports = [each.getsockname()[1] for each in self._servers[:3]]
        self.given: dict[str, Any] = {
            **dict(zip(("redis", "postgres", "api"), ports, strict=True)),
            "word": self.word,
            "file": str(self._file),
            "folder": str(folder),
            "database": str(folder / "codex32.db"),
            "other": str(self._other),
            "named": str(folder / "named"),
            "letters": str(folder / "letters"),
            "datagrams": self._datagrams.getsockname()[1],
            "pid": os.getpid(),
            "victim": victim.pid,
        }
        self._before = self._state()

    def _state(self) -> dict[str, Any]:
        library = os.stat(os.__file__)
        files = {path.name: path.lstat() for path in self._folder.iterdir()}
        return {
            "files": {
                name: (each.st_mode, each.st_uid, each.st_size, each.st_mtime_ns)
                for name, each in files.items()
            },
            "word": self._file.read_text(),
            "other": sorted(os.listdir(self._other)),
            "library": (library.st_mode, library.st_size, library.st_mtime_ns),
            "victim": self._victim.poll(),
            "priority": os.getpriority(os.PRIO_PROCESS, 0),
            "policy": os.sched_getscheduler(0),
            "affinity": sorted(os.sched_getaffinity(0)),
            "limits": [resource.getrlimit(n) for n in range(8)],
            "score": Path("/proc/self/oom_score_adj").read_text(),
            "attributes": os.listxattr(self._file),
            "host": socket.gethostname(),
        }

    def harm(self) -> list[str]:
        """What is not as it was."""
        now = self._state()
        found = [name for name, value in self._before.items() if now[name] != value]
        for name, each in zip(
            ("redis", "postgres", "api", "named", "abstract"), self._servers, strict=True
        ):
            try:
                each.accept()[0].close()
                found.append(f"a connection to {name}")
            except BlockingIOError:
                continue
        for name, letters in (("datagram", self._datagrams), ("letter", self._letters)):
            try:
                letters.recv(100)
                found.append(f"a {name}")
            except BlockingIOError:
                continue
        return found

    def close(self) -> None:
        """Let go of everything."""
        for each in (*self._servers, self._letters, self._datagrams):
            each.close()
        (self._other / "theirs").unlink()
        self._other.rmdir()


@contextmanager
def prey() -> Iterator[Prey]:
    """Prey that lives as long as the block, in the folder for temporary files."""
    victim = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    with tempfile.TemporaryDirectory(prefix="prey-") as folder:
        os.chmod(folder, 0o755)
        found = Prey(Path(folder), victim)
        try:
            yield found
        finally:
            found.close()
            victim.send_signal(signal.SIGKILL)
            victim.wait()
