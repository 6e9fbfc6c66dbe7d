"""The hands of clocks that processes go by, moved by a test."""

from __future__ import annotations

import os
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

#: A clock that is found before the true one.
_CLOCK = """
CREATE SCHEMA hands;
CREATE TABLE hands.shift AS SELECT 0::float8 AS seconds;
CREATE FUNCTION hands.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
$$SELECT pg_catalog.clock_timestamp() + make_interval(secs => seconds) FROM hands.shift$$;
"""
_FIRST = "search_path = public, hands, pg_catalog"


class Hands:
    """A file with the seconds by which clocks are wrong; processes read it all the time.

    They do where the environment names it: ``CODEX32_CLOCK_SHIFT``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._databases: list[str] = []
        self._seconds = 0.0
        self.set(0.0)

    def move(self, url: str) -> None:
        """Move the clock of a PostgreSQL database with its tables, too: houses on one go by it."""
        name = urlsplit(url).path.removeprefix("/")
        self._databases.append(url)
        self._tell(url, f'{_CLOCK} ALTER DATABASE "{name}" SET {_FIRST}')
        self.set(self._seconds)

    def set(self, seconds: float) -> None:
        """Let the clocks be wrong by so much."""
        self._seconds = seconds
        new = self.path.with_suffix(".new")
        new.write_text(str(seconds))
        os.replace(new, self.path)
        for url in self._databases:
            self._tell(url, f"UPDATE hands.shift SET seconds = {seconds!r}")

    def put_to(self, moment: datetime) -> None:
        """Let the clocks show ``moment`` now, and go on from there."""
        self.set(moment.timestamp() - time.time())

    @staticmethod
    def _tell(url: str, sql: str) -> None:
        with (
            closing(psycopg2.connect(url)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
