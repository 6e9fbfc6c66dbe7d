"""The server as a process: ``python -m codex32_testing.model_server [--port N] [--keyless]``.

It prints its address as JSON and serves until it is stopped. ``POST /control/script`` takes
``{"turns": [...], "model": null, "path": null, "always": false}``, a turn being the name of a
fault or an object with the fields of ``Turn``; ``GET /control/log`` tells what was asked;
``POST /control/reset`` forgets both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from typing import Any

from aiohttp import web

from codex32_testing.model_server.faults import EMBEDDING_FAULTS, FAULTS
from codex32_testing.model_server.server import ModelServer
from codex32_testing.model_server.turns import Turn


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m codex32_testing.model_server")
    parser.add_argument("--port", type=int, default=0, help="to listen on; 0 takes a free one")
    parser.add_argument("--control-port", type=int, default=0, help="likewise, for the control")
    parser.add_argument("--keyless", action="store_true", help="accept requests without a key")
    given = parser.parse_args()
    server = ModelServer(port=given.port, **({"keys": ()} if given.keyless else {}))
    with server:
        asyncio.run(_control(server, given.control_port))


async def _control(server: ModelServer, port: int) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    app = web.Application()

    async def script(request: web.Request) -> web.Response:
        told = await request.json()
        try:
            turns = [_turn(turn) for turn in told["turns"]]
        except (KeyError, TypeError) as error:
            raise web.HTTPBadRequest(text=f"no such turn: {error}") from None
        where = {"model": told.get("model"), "path": told.get("path")}
        if told.get("always"):
            server.always(turns[0], **where)
        else:
            server.script(*turns, **where)
        return web.json_response({"laid_down": len(turns)})

    async def log(request: web.Request) -> web.Response:
        asked = [asked.as_json() for asked in server.asked]
        return web.json_response({"asked": asked, "billed_nano_usd": server.billed()})

    async def reset(request: web.Request) -> web.Response:
        server.reset()
        return web.json_response({})

    app.router.add_post("/control/script", script)
    app.router.add_get("/control/log", log)
    app.router.add_post("/control/reset", reset)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        control = f"http://127.0.0.1:{runner.addresses[0][1]}/control"
        told = {"url": server.url, "key": server.key, "control": control}
        print(json.dumps(told), flush=True)
        await stopping.wait()
    finally:
        await runner.cleanup()


def _turn(told: Any) -> Turn:
    if isinstance(told, str):
        return {**FAULTS, **EMBEDDING_FAULTS}[told].turn
    return Turn.from_json(told)


if __name__ == "__main__":
    main()
