"""What single things cost: latency when idle, further steps, items, thousands of files."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

from benchmarks import processes
from benchmarks.figures import percentile
from benchmarks.house import House, bots_live, standing
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32.kernel.database import is_sqlite
from codex32.kernel.models import VersionRow, database_proxy
from codex32.services.executions.starting import Start

LATENCY_PAUSE_SECONDS = 0.1
LOOK_EVERY_SECONDS = 0.0002
ITEMS = 1000
SETTLE_SECONDS = 8.0


def latency(servers: Servers, progress: Progress, *, samples: int) -> dict[str, dict[str, float]]:
    """Submission to visible success on an idle system with two workers, by database, in ms."""
    found = {}
    for database in ("postgresql", "sqlite"):
        with standing(servers, database, 2) as house:
            seconds = asyncio.run(_latencies(house, samples))
        found[database] = {
            f"p{percent}": round(percentile(seconds, percent) * 1e3, 2) for percent in (50, 90, 99)
        }
        progress.tell(f"latency on {database}: {found[database]} ms")
    return found


async def _latencies(house: House, samples: int) -> list[float]:
    runtime, seconds = house.runtime, []
    for _ in range(samples):
        await asyncio.sleep(LATENCY_PAUSE_SECONDS)
        house.children.look()
        began = time.perf_counter()
        submitted = await runtime.starter.start(Start(bot="one"))
        assert submitted.id is not None
        # Another process tells of an end in no other way. No other thread is woken for a look,
        # which would take as long as the shortest execution.
        while not runtime.door.read_now(_ended, submitted.id):
            time.sleep(LOOK_EVERY_SECONDS)  # noqa: ASYNC251 - nothing else is under way here
        seconds.append(time.perf_counter() - began)
    house.expect("one", samples)
    return seconds


def _ended(execution_id: str) -> bool:
    mark = "?" if is_sqlite() else "%s"
    looked = database_proxy.execute_sql(
        f"SELECT finished_at FROM execution WHERE id = {mark}",
        (execution_id,),
    )
    return looked.fetchone()[0] is not None


def steps(servers: Servers, progress: Progress, *, executions: int, pairs: int) -> dict[str, Any]:
    """A bot of three steps against one of a single step, by database, in pairs."""
    found = {}
    for database in ("postgresql", "sqlite"):
        with standing(servers, database, 1) as house:
            asyncio.run(house.run("three", 100))
            ran = [
                [asyncio.run(house.run(bot, executions)) for bot in ("one", "three")]
                for _ in range(pairs)
            ]
        found[database] = {
            "time": round(median(three.seconds / one.seconds for one, three in ran), 2),
            "worker_cpu": round(
                median(three.cpu_ms["workers"] / one.cpu_ms["workers"] for one, three in ran), 2
            ),
        }
        progress.tell(f"three steps cost on {database}: {found[database]} times one step")
    return found


def items(servers: Servers, progress: Progress, *, executions: int) -> dict[str, Any]:
    """A step over 1,000 items that do nothing: the worker's CPU and the time an item, in ms."""
    found = {}
    for database in ("postgresql", "sqlite"):
        with standing(servers, database, 1) as house:
            for parallel in (1, 50):
                given = {"items": list(range(ITEMS))}
                drive = asyncio.run(house.run(f"each-{parallel}", executions, given))
                found[f"{database}_parallel_{parallel}"] = {
                    "worker_cpu_ms": round(drive.cpu_ms["workers"] / ITEMS, 3),
                    "ms": round(drive.seconds / executions / ITEMS * 1e3, 3),
                }
    progress.tell(f"an item costs: {found}")
    return found


def files(servers: Servers, progress: Progress, *, count: int) -> dict[str, Any]:
    """A folder of ``count`` bot files: a scheduler's start to all live, and a change to live.

    ``restart_cpu_seconds`` is what a second scheduler spends until it has looked at them all.
    """
    texts = {f"file-{n:04}.yaml": _file(f"hello {n}") for n in range(count)}
    began = time.perf_counter()
    with standing(servers, "sqlite", 0, others=["scheduler"], bots=texts) as house:
        door = house.runtime.door
        processes.wait(
            "loading", lambda: door.read_now(bots_live, "file-") == count, house.children
        )
        loaded = time.perf_counter() - began
        versions = door.read_now(VersionRow.select().count)
        path = house.runtime.settings.bots.folders[0] / "file-0007.yaml"
        time.sleep(1.0)  # files as fresh as these are looked at again before they are trusted
        began = time.perf_counter()
        path.write_text(_file("changed"))
        processes.wait(
            "the change",
            lambda: door.read_now(VersionRow.select().count) > versions,
            house.children,
        )
        changed = time.perf_counter() - began
        restarted = _restart(house)
    found = {
        "files": count,
        "load_seconds": round(loaded, 2),
        "change_seconds": round(changed, 2),
        "restart_cpu_seconds": round(restarted, 2),
    }
    progress.tell(f"a folder of bot files: {found}")
    return found


def _restart(house: House) -> float:
    """The CPU of one more scheduler until it is at rest, in which nothing happens."""
    time.sleep(SETTLE_SECONDS)
    spent = processes.cpu_seconds(None)["scheduler"]
    house.launch("scheduler again", "scheduler")
    house.wait_for("scheduler", 2)
    time.sleep(SETTLE_SECONDS)
    return processes.cpu_seconds(None)["scheduler"] - spent


def _file(text: str) -> str:
    return (
        "description: one of many\n"
        'triggers: [{cron: "0 8 * * 1-5", timezone: Europe/Berlin}]\n'
        "inputs: {who: {type: string, default: you}}\n"
        "steps:\n"
        "  - {id: fetch, type: http, with: {url: 'https://example.com/feed.xml'}}\n"
        "  - id: told\n    type: notify\n    if: steps.fetch.output.status == 200\n"
        f"    with: {{to: log, text: '{text}, ${{{{ inputs.who }}}}'}}\n"
        "allow: {hosts: [example.com]}\n"
    )
