"""DBOS: durable workflows in PostgreSQL, which is the nearest to what Codex-32 promises."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import psycopg2
from dbos import DBOS, DBOSClient

from benchmarks.peers.peer import DATABASE_URL, Peer

_QUEUE = "nothing"


class Dbos(Peer):
    """Workflows stay in their table, with how they ended."""

    most = 500

    def __init__(self) -> None:
        url = os.environ[DATABASE_URL]
        _configure(url)
        DBOS.launch()  # makes the tables
        DBOS.destroy()
        self._client = DBOSClient(system_database_url=url)
        self._rows = psycopg2.connect(url)
        self._rows.autocommit = True

    def commands(self, processes: int) -> Sequence[Sequence[str]]:
        """A command a process."""
        return [["-m", __name__, "worker"]] * processes

    def send(self, count: int) -> None:
        """As its guide has it."""
        for _ in range(count):
            self._client.enqueue({"queue_name": _QUEUE, "workflow_name": "nothing"})

    def left(self) -> bool:
        """Until none is enqueued or pending."""
        with self._rows.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM dbos.workflow_status "
                "WHERE status IN ('ENQUEUED', 'PENDING') LIMIT 1"
            )
            return cursor.fetchone() is not None

    def close(self) -> None:
        """Close connections."""
        self._rows.close()
        self._client.destroy()


def _configure(url: str) -> None:
    DBOS(config={"name": "nothing", "system_database_url": url, "log_level": "ERROR"})


def main() -> None:
    """Be a worker until it is stopped."""
    _configure(os.environ[DATABASE_URL])

    @DBOS.workflow(name="nothing")
    def nothing() -> None:
        """Do nothing."""

    DBOS.launch()
    DBOS.register_queue(_QUEUE)
    threading.Event().wait()


if __name__ == "__main__":
    main()
