"""Rows to begin with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from codex32.kernel import database
from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.models import ExecutionRow

SECOND = 1_000_000


@pytest.fixture
def now() -> int:
    """The present of a test, in microseconds: 2026-01-05 12:00 UTC, a Monday."""
    return 1_767_614_400 * SECOND


@pytest.fixture
def execution(now: int) -> Callable[..., str]:
    """Writes an execution; its id. Call it through the door."""

    def write(**values: Any) -> str:
        row: dict[str, Any] = {
            "id": new_id("exe"),
            "workspace": "default",
            "bot_id": "bot_1",
            "bot_name": "ping",
            "version_id": "ver_1",
            "version_number": 1,
            "status": "queued",
            "inputs": "{}",
            "trigger": "{}",
            "trigger_kind": "manual",
            "created_at": now,
            **values,
        }
        ExecutionRow.insert(row).execute()
        return str(row["id"])

    return write


@pytest.fixture
def at_once(door: Door) -> Callable[..., list[Any]]:
    """Does the same in several threads, each in transactions of its own, as processes would."""

    def run(threads: int, work: Callable[[], Any]) -> list[Any]:
        ready = threading.Barrier(threads)

        def one() -> Any:
            ready.wait()
            try:
                while True:
                    database._local.notices = []
                    try:
                        with database.transaction(door.database):
                            return work()
                    except Exception as error:  # what the door repeats, is repeated here
                        if not database.is_outage(error):
                            raise
            finally:
                door.database.close()

        with ThreadPoolExecutor(threads) as pool:
            return [each.result() for each in [pool.submit(one) for _ in range(threads)]]

    return run
