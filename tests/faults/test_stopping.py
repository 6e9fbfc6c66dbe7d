"""Processes that are told to stop when it is hard to."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from codex32_houses import CODEX32, ServersHouse, living, private_redis, until
from codex32_postgres import private_postgres

pytestmark = pytest.mark.fault

#: Steps under way when the database goes, and executions that wait.
BUSY = """\
steps:
  - id: busy
    type: python
    with:
      code: |
        import time

        def main():
            print("begun", flush=True)
            time.sleep(30)
"""


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_without_postgresql_everybody_stops_by_himself_and_soon(tmp_path: Path) -> None:
    with private_postgres() as server, private_redis() as redis:
        environment = {
            "CODEX32_DATABASE_URL": server.create(),
            "CODEX32_REDIS_URL": redis.url,
            "CODEX32_WORKER__STOP_GRACE_SECONDS": "1",
        }
        with living(ServersHouse(tmp_path, environment)) as house:
            house.start()
            house.add("busy", BUSY)
            for _ in range(3):
                busy = house.execute("busy")
            until(lambda: "begun" in house.log(busy), "it has begun")
            server.kill()
            began = time.monotonic()

            codes = house.stop()

            took = time.monotonic() - began
            assert set(codes.values()) == {0}, (codes, house.told()[-20_000:])
            # Each has eleven seconds, the API twenty, before it would be ended by force.
            assert "Timeout (" not in house.told()
            assert took < 20
            assert "could not be given back" in house.told()

            server.start()
            house.start()
            until(lambda: house.execution(busy)["attempt"] == 2, "it goes on")


def test_a_worker_that_is_told_to_stop_while_it_starts_stops(tmp_path: Path) -> None:
    subprocess.run([*CODEX32, "--folder", str(tmp_path), "db", "upgrade"], check=True, timeout=50)
    # A thread of Dramatiq takes it that it runs only after it has said so to the log.
    done = _run(
        """
        import logging, os, signal, sys, time

        def slowly(record):
            if record.getMessage().startswith("Running "):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.5)
            return True

        for name in ("ConsumerThread(executions)", "WorkerThread"):
            log = logging.getLogger(f"dramatiq.worker.{name}")
            log.setLevel(logging.DEBUG)
            log.addFilter(slowly)

        from codex32.cli.main import main

        began = time.monotonic()
        try:
            main(["--folder", sys.argv[1], "worker", "--processes", "1"])
        finally:
            print(f"stopped after {time.monotonic() - began:.1f} s")
        """,
        str(tmp_path),
    )

    assert done.returncode == 0, done.stderr
    assert "stopped after" in done.stdout
    assert "Timeout (" not in done.stderr


def test_who_does_not_end_is_ended_and_says_what_it_was_at() -> None:
    done = _run(
        """
        import signal, threading
        from codex32.outside.stopping import end_within, heed_signals, wait_for

        told = heed_signals()
        signal.raise_signal(signal.SIGTERM)
        wait_for(told)
        end_within(0.2)

        def hang():
            threading.Event().wait()

        hang()
        """
    )

    assert done.returncode == 1
    assert "in hang" in done.stderr


def test_who_seems_to_hang_is_asked_what_it_is_at(tmp_path: Path) -> None:
    command = [*CODEX32, "--folder", str(tmp_path), "serve", "--port", "0"]
    subprocess.run([*CODEX32, "--folder", str(tmp_path), "db", "upgrade"], check=True, timeout=50)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            until((tmp_path / ".codex32" / "api.json").exists, "the API")
            process.send_signal(signal.SIGUSR2)
            assert process.stderr is not None
            until(lambda: "most recent call first" in process.stderr.readline(), "stacks")
            assert process.poll() is None
        finally:
            process.terminate()
            assert process.wait(30) == 0
