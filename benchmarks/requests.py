"""What a request costs: starting executions over HTTP, beside a handler that inserts a row."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import house, processes
from benchmarks.figures import Spread, ratios
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32.kernel.models import ExecutionRow

_BARE = Path(__file__).with_name("bare_api.py")


def measure(servers: Servers, progress: Progress, *, rounds: int, requests: int) -> dict[str, Any]:
    """Requests a second of both, in turn on one database; nobody executes what is started."""
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
        ratio = ratios(rates, {"executions": "bare"})["executions"].as_dict()
        found[database] = {
            **{way: Spread.of(each[way] for each in rates).as_dict() for way in ways},
            "ratio": ratio,
        }
        progress.tell(f"requests on {database}: {ratio['median']:.2f} of a bare handler")
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
