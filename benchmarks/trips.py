"""Round trips and commits an execution: what says how it behaves on a bigger machine.

PostgreSQL's own log of statements is counted, a line a round trip, so that nothing in the product
has to count.
"""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.house import House, standing
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32.services.executions.starting import Start

ALONE = 50
PAUSE_SECONDS = 0.05


def measure(servers: Servers, progress: Progress, *, executions: int) -> dict[str, Any]:
    """Executions of one step, many at once and one after the other, with one worker.

    Returns:
      ``round_trips`` and ``commits`` an execution, of all processes together, both for ``loaded``
      and for ``alone``.
    """
    found = {}
    with servers.statements_logged(), standing(servers, "postgresql", 1) as house:
        before = servers.statements()
        asyncio.run(house.run("one", executions))
        found["loaded"] = _each(before, servers.statements(), executions)
        before = servers.statements()
        asyncio.run(_one_by_one(house))
        found["alone"] = _each(before, servers.statements(), ALONE)
    progress.tell(f"round trips and commits an execution: {found}")
    return found


def _each(before: tuple[int, int], after: tuple[int, int], executions: int) -> dict[str, float]:
    trips, commits = (
        (late - early) / executions for early, late in zip(before, after, strict=True)
    )
    return {"round_trips": round(trips, 3), "commits": round(commits, 3)}


async def _one_by_one(house: House) -> None:
    house.expect("one", ALONE)
    for _ in range(ALONE):
        await house.runtime.starter.start(Start(bot="one"))
        await asyncio.sleep(PAUSE_SECONDS)
    await house.settled()
