"""The least that an API could do: an aiohttp handler, one indexed insert, commits shared.

Started as a script: ``python bare_api.py DATABASE_URL FILE``; its address goes into the file.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from codex32.kernel.database import Door, connect
from codex32.kernel.ids import new_id

_TABLE = "CREATE TABLE IF NOT EXISTS bare (id TEXT PRIMARY KEY, body TEXT, at BIGINT)"


async def _serve(url: str, file: Path) -> None:
    database = connect(url)
    mark = "?" if url.startswith("sqlite") else "%s"
    place = f"({mark}, {mark}, {mark})"
    door = Door(database)
    door.write_now(lambda: database.execute_sql(_TABLE))

    def keep(rows: Sequence[tuple[str, str, int]]) -> list[None]:
        places = ", ".join([place] * len(rows))
        values = [value for row in rows for value in row]
        database.execute_sql(f"INSERT INTO bare VALUES {places}", values)
        return [None] * len(rows)

    async def take(request: web.Request) -> web.Response:
        body, made = await request.json(), new_id("exe")
        await door.write_many(keep, (made, json.dumps(body), time.time_ns()))
        return web.json_response({"id": made}, status=202)

    app = web.Application()
    app.router.add_post("/executions", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await asyncio.to_thread(_tell, file, address)
    await asyncio.Event().wait()


def _tell(file: Path, address: str) -> None:
    """Whoever waits for the file finds it whole."""
    part = file.with_suffix(".part")
    part.write_text(address)
    part.replace(file)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
