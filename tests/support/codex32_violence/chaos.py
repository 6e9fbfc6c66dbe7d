"""Random blows against a house under load, and the books afterwards."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from codex32_postgres import PrivatePostgres

from codex32_violence import bots
from codex32_violence.accounting import Books
from codex32_violence.arena import Arena, arena
from codex32_violence.disk import small_disk
from codex32_violence.violence import Violence

Say = Callable[[str], None]


@dataclass
class Ordeal:
    """What shall be done to a house.

    Attributes:
      seconds: How long blows fall.
      queued: Executions that are there before the first blow.
      per_second: Executions that come meanwhile.
      pause_seconds: Between blows, on average.
    """

    database: str
    seed: int
    seconds: float = 60.0
    queued: int = 1000
    per_second: float = 12.0
    pause_seconds: float = 1.5
    workers: int = 2
    schedulers: int = 2
    environment: dict[str, str] = field(default_factory=dict)


ENVIRONMENT = {
    "CODEX32_WORKER__LEASE_SECONDS": "3",
    "CODEX32_WORKER__STOP_GRACE_SECONDS": "3",
    "CODEX32_RECOVERY__INTERVAL_SECONDS": "1",
    # More violence than any step deserves: it must not be taken for the step's own fault.
    "CODEX32_RECOVERY__MAX_DEATHS": "1000",
    # The schedule shall miss nothing, however long the schedulers were away.
    "CODEX32_SCHEDULER__MISSED_AFTER_SECONDS": "3600",
}


def suffer(ordeal: Ordeal, folder: Path, say: Say) -> tuple[Books, dict[str, int]]:
    """Let a house suffer; the books, and how often each blow fell."""
    source = random.Random(ordeal.seed)
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(1024))
        (disk.folder / "data").mkdir()
        server = None
        if ordeal.database == "postgresql":
            # A short path: sockets have room for 107 characters.
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="codex32-test-"))
            server = PrivatePostgres(Path(place))
            server.initialise(disk.folder / "data")
            server.start(max_wal_size="64MB", min_wal_size="32MB")
            stack.callback(server.stop)
        built = stack.enter_context(
            arena(
                folder,
                ordeal.database,
                server,
                proxied=True,
                data=disk.folder / "data",
                **{**ENVIRONMENT, **ordeal.environment},
            )
        )
        return _suffer(ordeal, built, Violence(built, source, disk=disk), source, say)


def _suffer(
    ordeal: Ordeal, built: Arena, violence: Violence, source: random.Random, say: Say
) -> tuple[Books, dict[str, int]]:
    built.open(workers=0, schedulers=ordeal.schedulers)
    built.load.submit_many(["line"] * ordeal.queued)
    built.add("tick")
    for number in range(ordeal.workers):
        built.house.employ("worker", number + 1)
    built.load.start([n for n in bots.EFFECTS if n != "tick"], ordeal.per_second, ordeal.seed)
    began = told = time.monotonic()
    while (now := time.monotonic()) - began < ordeal.seconds:
        blow = violence.strike()
        violence.rest(source.uniform(0, 2 * ordeal.pause_seconds))
        if now - told > 5:
            told = now
            taken = len(built.load.acknowledged)
            say(f"{now - began:4.0f} s, {taken} submitted, {violence.done.total()} blows: {blow}")
    violence.relent()
    say("no more blows; everything comes to its end")
    violence.rest(1.0)
    built.load.stop()
    violence.tend()
    return built.close_books(90), dict(violence.done)


def table(books: Books, done: dict[str, int]) -> str:
    """What was done and what was counted, for people."""
    width = max(len(name) for name in [*done, *books.counts])
    lines = ["blows"] + [f"  {name:<{width}} {done[name]:>7}" for name in sorted(done)]
    lines += ["counts"] + [f"  {name:<{width}} {count:>7}" for name, count in books.counts.items()]
    if books.faults:
        lines += [f"{len(books.faults)} FAULTS"] + [f"  {fault}" for fault in books.faults[:50]]
    else:
        lines += ["every promise was kept"]
    return "\n".join(lines)
