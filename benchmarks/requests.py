"""What a request costs: starting executions beside a handler that inserts a row, listing bots."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from benchmarks import house, processes, seeding
from benchmarks.figures import Spread, ratios
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32.kernel.models import ExecutionRow

#: Bots that are there when they are listed.
BOTS = 10_000
_BOT = "triggers: [{cron: '0 0 29 2 *'}]\ntype: set\nwith: {values: {}}\n"
#: Ways to list them, as queries.
_LISTS = {
    "first": "",
    "longest": "limit=100",
    "latest": "sort=-updated_at&limit=100",
    "label_of_none": "label=team",
    "text": "text=many-0099&limit=100",
}
_LOOKS = 15
_BARE = Path(__file__).with_name("bare_api.py")


def measure(servers: Servers, progress: Progress, *, rounds: int, requests: int) -> dict[str, Any]:
    """Requests a second of both, in turn on one database, and how long lists of bots take.

    Nobody executes what is started.
    """
    found = {}
    for database in ("postgresql", "sqlite"):
        with house.standing(servers, database, 0, others=["serve"]) as stands:
            settings = stands.runtime.settings
            file = settings.home / "bare.txt"
            stands.children.start(
                "bare", [sys.executable, str(_BARE), settings.database_url, str(file)]
            )
            processes.wait("the bare handler", file.exists, stands.children)
            ours = json.loads((settings.home / "api.json").read_text())["url"]
            ways = {
                "executions": (f"{ours}/api/v1/executions", {"bot": "one"}),
                "bare": (f"{file.read_text()}/executions", {"bot": "one"}),
            }
            rates = []
            for number in range(rounds + 1):
                order = list(ways) if number % 2 else list(ways)[::-1]
                rates.append({way: asyncio.run(_rate(*ways[way], requests)) for way in order})
            rates = rates[1:]  # the first is warm-up
            stands.runtime.door.write_now(lambda: ExecutionRow.delete().execute())
            seeding.bots(stands.runtime, "many", BOTS, _BOT)
            listed = asyncio.run(_listed(ours))
        ratio = ratios(rates, {"executions": "bare"})["executions"].as_dict()
        found[database] = {
            **{way: Spread.of(each[way] for each in rates).as_dict() for way in ways},
            "ratio": ratio,
            "bots_listed_ms": listed,
        }
        progress.tell(f"requests on {database}: {ratio['median']:.2f} of a bare handler")
        progress.tell(f"{BOTS} bots are listed on {database}, ms: {listed}")
    return found


async def _listed(url: str) -> dict[str, float]:
    """Milliseconds until a page of a list of bots is there, the middle of a few."""
    found = {}
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {house.TOKEN}"}
    ) as session:
        for name, query in _LISTS.items():
            took = []
            for _ in range(_LOOKS):
                began = time.perf_counter()
                async with session.get(f"{url}/api/v1/bots?{query}") as answer:
                    answer.raise_for_status()
                    await answer.read()
                took.append((time.perf_counter() - began) * 1e3)
            found[name] = round(median(took), 2)
    return found


async def _rate(url: str, body: dict[str, Any], count: int) -> float:
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {house.TOKEN}"},
        connector=aiohttp.TCPConnector(limit=house.CONNECTIONS),
    ) as session:
        left = iter(range(count))

        async def caller() -> None:
            for _ in left:
                async with session.post(url, json=body) as answer:
                    if answer.status != 202:
                        raise RuntimeError(f"{url} answered {await answer.text()}")
                    await answer.read()

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(house.CONNECTIONS)))
        return count / (time.perf_counter() - began)
