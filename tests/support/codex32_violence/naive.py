"""How one would do it without Codex-32: stock Dramatiq, a row updated before and after.

The control of the whole group: under the same blows the same books must not balance. The actor
does what the bot ``send`` does; delivery, retries and recovery are Dramatiq's own, with its
defaults but for a heartbeat that is short enough to take part in a short test.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from uuid import uuid4

SCHEMA = """
CREATE TABLE execution (id TEXT PRIMARY KEY, status TEXT, output TEXT, finished_at INTEGER,
                        cause TEXT);
CREATE TABLE step (execution_id TEXT PRIMARY KEY, status TEXT);
"""


def connect(path: str) -> sqlite3.Connection:
    """The naive house's database; every statement commits."""
    return sqlite3.connect(path, timeout=30, isolation_level=None)


def declare(redis_url: str, path: str, world: str):  # type: ignore[no-untyped-def]
    """The broker and the actor."""
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(
        url=redis_url, heartbeat_timeout=3000, maintenance_chance=1_000_000, socket_timeout=5
    )
    dramatiq.set_broker(broker)

    @dramatiq.actor(broker=broker, min_backoff=200, max_backoff=1000)
    def execute(execution_id: str) -> None:
        with connect(path) as rows:
            rows.execute("UPDATE execution SET status = 'running' WHERE id = ?", (execution_id,))
            body = b'{"key": "%s/send"}' % execution_id.encode()
            urllib.request.urlopen(f"{world}/once?ms=300", body, timeout=10).read()
            rows.execute("INSERT OR REPLACE INTO step VALUES (?, 'succeeded')", (execution_id,))
            rows.execute(
                "UPDATE execution SET status = 'succeeded', finished_at = ? WHERE id = ?",
                (time.time_ns(), execution_id),
            )

    return broker, execute


class NaiveHouse:
    """Workers of stock Dramatiq, and a caller who writes a row and sends a message."""

    def __init__(self, folder: Path, redis_url: str, world: str) -> None:
        self.arguments = (redis_url, str(folder / "naive.db"), world)
        self.rows = connect(self.arguments[1])
        self.rows.executescript(SCHEMA)
        self.broker, self.execute = declare(*self.arguments)
        self.acknowledged: list[str] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    def hire(self) -> None:
        """Start a worker."""
        self.workers.append(
            subprocess.Popen([sys.executable, __file__, *self.arguments], env=dict(os.environ))
        )

    def submit(self) -> None:
        """One execution; it counts as acknowledged when its message is sent."""
        execution_id = uuid4().hex
        self.rows.execute(
            "INSERT INTO execution (id, status) VALUES (?, 'queued')", (execution_id,)
        )
        self.execute.send(execution_id)
        self.acknowledged.append(execution_id)

    def live(self) -> int:
        """Executions that have not ended."""
        sql = "SELECT count(*) FROM execution WHERE finished_at IS NULL"
        return int(self.rows.execute(sql).fetchone()[0])

    def close(self) -> None:
        """End everything."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.broker.close()
        self.rows.close()


def _work() -> None:
    import dramatiq

    broker, _ = declare(*sys.argv[1:4])
    worker = dramatiq.Worker(broker, worker_threads=8)
    worker.start()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    _work()
