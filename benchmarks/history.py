"""What a long history costs: executions beside it, and looking things up in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks import seeding
from benchmarks.drive import Drive
from benchmarks.house import House, standing
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32.kernel.database import is_sqlite
from codex32.kernel.models import database_proxy
from codex32.services.bots import bot_views
from codex32.services.executions import executions
from codex32.services.executions.listing import Query, listing
from codex32.services.triggers import why
from codex32.services.upkeep import integrity, recovery

_BOTS = 200
_BOT = (
    "triggers: [{cron: '0 0 29 2 *'}]\n"
    "inputs: {who: {type: string, default: you}}\ntype: set\nwith: {values: {}}\n"
)
_LOOKS = 5
_DAY = 86_400_000_000


def measure(
    servers: Servers, progress: Progress, *, history: int, executions_each: int, pairs: int
) -> dict[str, Any]:
    """Rates before and with ``history`` ended executions, and how long each look takes (ms)."""
    found: dict[str, Any] = {"executions": history}
    for database in ("postgresql", "sqlite"):
        with standing(servers, database, 1) as house:
            before = [_drive(house, executions_each) for _ in range(pairs)]
            began = time.perf_counter()
            old = seeding.bots(house.runtime, "old", _BOTS, _BOT)
            seeding.history(house.runtime, old, history, lambda done: None)
            progress.tell(f"{history} executions seeded in {time.perf_counter() - began:.0f} s")
            house.runtime.door.write_now(_analyze)
            after = [_drive(house, executions_each) for _ in range(pairs)]
            found[database] = {
                "rate_kept": _ratio(before, after, lambda drive: drive.rate),
                "worker_cpu_grown": _ratio(before, after, lambda drive: drive.cpu_ms["workers"]),
                "look_ms": _looks(house, old[7].name),
                "check_seconds": round(_milliseconds(house, _check(house), 1) / 1e3, 2),
            }
        progress.tell(f"with a history on {database}: {found[database]}")
    return found


def _drive(house: House, count: int) -> Drive:
    return asyncio.run(house.run("one", count))


def _ratio(before: list[Drive], after: list[Drive], of: Callable[[Drive], float]) -> float:
    return round(median(map(of, after)) / median(map(of, before)), 3)


def _analyze() -> None:
    """What autovacuum does within a minute of such growth."""
    if not is_sqlite():
        database_proxy.execute_sql("ANALYZE")


def _looks(house: House, bot: str) -> dict[str, float]:
    """Every way to list and to ask, the slowest of a few times, in milliseconds."""
    now = house.runtime.clock.micros()
    page = house.runtime.door.read_now(listing, Query(until=now - 12 * _DAY, limit=1))
    asked = {
        "newest": Query(),
        "bot": Query(bot=bot),
        "bot_rare_status": Query(bot=bot, status=["skipped"]),
        "status": Query(status=["failed", "cancelled"]),
        "cause": Query(cause="timeout"),
        "trigger": Query(trigger_kind="cron"),
        "trigger_never_used": Query(trigger_kind="file"),
        "since": Query(since=now - _DAY),
        "until": Query(until=now - 20 * _DAY),
        "page_in_the_middle": Query(beyond=page[0].id),
    }
    looks: dict[str, Callable[[], object]] = {
        f"list_{name}": lambda query=query: listing(query)  # type: ignore[misc]
        for name, query in asked.items()
    }
    looks |= {
        "find_by_prefix": lambda: executions.find(page[0].id[:22]),
        "inspect": lambda: executions.inspect(page[0].id),
        "bots": bot_views.listing,
        "why": lambda: why.why(bot),
        "recovery": lambda: recovery.look(now),
    }
    return {name: round(_milliseconds(house, look, _LOOKS), 1) for name, look in looks.items()}


def _milliseconds(house: House, look: Callable[[], object], times: int) -> float:
    """The slowest of some looks but the first, which finds caches cold, if there are others."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        house.runtime.door.read_now(look)
        taken.append((time.perf_counter() - began) * 1e3)
    return max(taken[1:] or taken)


def _check(house: House) -> Callable[[], object]:
    return lambda: integrity.check(house.runtime.clock.micros())
