"""procrastinate: jobs in PostgreSQL, its worker with eight at a time, as many as Dramatiq has."""

from __future__ import annotations

import os
from collections.abc import Sequence

import procrastinate
import psycopg2

from benchmarks.peers.peer import DATABASE_URL, Peer

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ[DATABASE_URL])
)


@app.task(name="nothing")
def nothing() -> None:
    """Do nothing."""


class Procrastinate(Peer):
    """Jobs stay in their table, with how they ended."""

    most = 500

    def __init__(self) -> None:
        url = os.environ[DATABASE_URL]
        self._app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url))
        self._app.open()
        self._app.schema_manager.apply_schema()
        self._rows = psycopg2.connect(url)
        self._rows.autocommit = True

    def commands(self, processes: int) -> Sequence[Sequence[str]]:
        """A command a process."""
        words = ["-m", "procrastinate", "--app", f"{__name__}.app", "worker", "--concurrency", "8"]
        return [words] * processes

    def send(self, count: int) -> None:
        """As its guide has it."""
        task = self._app.configure_task("nothing")
        for _ in range(count):
            task.defer()

    def left(self) -> bool:
        """Until none is to do or being done."""
        with self._rows.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM procrastinate_jobs WHERE status IN ('todo', 'doing') LIMIT 1"
            )
            return cursor.fetchone() is not None

    def close(self) -> None:
        """Close connections."""
        self._rows.close()
        self._app.close()
