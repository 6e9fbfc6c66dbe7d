"""The living path: Prometheus scrapes, a rule fires, Alertmanager calls, a bot does something.

With the files that are shipped and the bot that the page shows. The house stands on SQLite and the
Redis that comes along; nothing of the path asks which database there is.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import urllib.request
from pathlib import Path

import codex32_prometheus
import pytest
from codex32_houses import UpHouse, living, until
from prometheus_client.parser import text_string_to_metric_families

from codex32.kernel.statuses import Status

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "monitor.md").read_text()
(BOT,) = re.findall(r"```yaml\n(name: house-trouble\n.*?)```", PAGE, re.DOTALL)
TOKEN, SECRET = "a token for Prometheus", "a secret of Alertmanager"
ENVIRONMENT = {
    "CODEX32_METRICS__TOKEN": TOKEN,
    "CODEX32_SECRET_ALERTMANAGER_TOKEN": SECRET,
    "CODEX32_WORKER__LEASE_SECONDS": "2",
}
BUSY = """\
type: python
with:
  code: |
    import time

    def main():
        time.sleep(600)
"""


#: No wheel carries the real ones; where the machine has them they are tried, too.
REAL = [] if None in codex32_prometheus.BINARIES else ["real"]


@pytest.fixture(params=["stand-in", *REAL])
def watches(request, tmp_path):
    folder = tmp_path / "watch"
    folder.mkdir()
    chosen = codex32_prometheus.real if request.param == "real" else codex32_prometheus.stand_in
    return lambda house: chosen(folder, house.url, TOKEN, SECRET)


def metrics(house):
    """By name and labels, as the API tells."""
    request = urllib.request.Request(f"{house.url}/metrics")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    return {
        (each.name, *sorted(each.labels.items())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def pid_of(house, process):
    with sqlite3.connect(house.folder / ".codex32" / "codex32.db") as database:
        [(pid,)] = database.execute("SELECT pid FROM process WHERE id = ?", (process,))
    return pid


def test_a_worker_that_is_lost_starts_a_bot_by_way_of_prometheus(tmp_path, watches):
    with living(UpHouse(tmp_path / "house", ENVIRONMENT)) as house:
        house.start()
        house.add("house-trouble", BOT)
        house.add("busy", BUSY)
        with watches(house) as watch:
            assert codex32_prometheus.scraped(watch, "codex32_workers_lost_total") == 0
            busy = house.execute("busy")
            worker = house.reach(busy, Status.RUNNING)["worker"]
            until(lambda: house.execution(busy)["worker"], "somebody holds it")
            os.kill(pid_of(house, worker), signal.SIGKILL)

            (told,) = until(lambda: house.executions("house-trouble"), "the bot was started")
            done = house.succeed(told["id"])
            assert codex32_prometheus.scraped(watch, "codex32_workers_lost_total") >= 1
        shown = house.ask("executions", "show", done["id"])
        assert shown["inputs"]["alert"] == "Codex32WorkersLost"
        assert "fell silent" in shown["inputs"]["summary"]
        assert SECRET not in house.told()

        found = until(lambda: _all_kinds(metrics(house)), "all kinds of processes tell")
        for kind in ("api", "scheduler", "worker"):
            size = found["codex32_pool_size", ("kind", kind), ("pool", "database_readers")]
            assert size >= 4
        assert found["codex32_pool_size", ("kind", "worker"), ("pool", "redis")] >= 1
        assert found["codex32_database_commit_writes_count",] > 0
        house.post(f"/api/v1/executions/{busy}/cancel")


def _all_kinds(found):
    kinds = {
        dict(labels)["kind"] for name, *labels in found if name == "codex32_pool_size" and labels
    }
    return found if kinds >= {"api", "scheduler", "worker"} else None
