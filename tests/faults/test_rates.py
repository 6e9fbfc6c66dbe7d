"""A rate limit that two worker processes share, one of which is killed."""

from __future__ import annotations

import signal

import pytest
from codex32_houses import ServersHouse, until
from codex32_violence.accounting import Rows

pytestmark = pytest.mark.fault

LIMIT, PER_MICROS, COUNT = 20, 1_000_000, 50
STEP = """\
steps:
  - id: main
    rate: {limit: 20, per: 1s, key: shared}
    type: set
    with: {values: {n: 1}}
"""


def test_two_workers_never_start_more_in_a_window_than_the_limit(
    servers: ServersHouse, short: dict[str, str]
) -> None:
    servers.environment.update(short)
    servers.start()
    for name in ("one", "two"):
        servers.add(name, STEP)
    for _ in range(COUNT):
        servers.execute("one")
        servers.execute("two")
    rows = Rows(servers.environment["CODEX32_DATABASE_URL"])
    worker = next(name for name in servers.processes if name.startswith("worker"))
    servers.end(worker, signal.SIGKILL)

    until(lambda: rows.live() == 0, "all have ended", 60.0, 0.5)

    assert rows.ask("SELECT DISTINCT status FROM execution") == [("succeeded",)]
    starts = [at for (at,) in rows.ask("SELECT started_at FROM step ORDER BY started_at")]
    assert len(starts) == 2 * COUNT
    windows = list(zip(starts, starts[LIMIT:], strict=False))
    assert min(after - before for before, after in windows) >= PER_MICROS
    workers = rows.ask("SELECT count(DISTINCT worker) FROM attempt")
    assert workers[0][0] == 2
