"""The API's process: binds, says where it listens, keeps its heartbeat, stops in good order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from aiohttp import web

from codex32.api.application import all_operations, build_application
from codex32.api.callers import Gatekeeper, admin_token
from codex32.api.guard import Keeping
from codex32.api.network import Origins, Peers
from codex32.api.protocol import Runner
from codex32.api.rates import Limiter
from codex32.api.sharing import shared
from codex32.api.sockets import Sockets, allowed
from codex32.bundled import running_redis_url
from codex32.engine.values import validation
from codex32.kernel.caller import Caller
from codex32.kernel.contracts.call_book import CallBook
from codex32.kernel.errors import Codex32Error
from codex32.kernel.private_files import write_private
from codex32.outside.settling import settle_memory
from codex32.outside.stopping import STOP_SECONDS, end_within, heed_signals_on_loop
from codex32.runtime import Runtime
from codex32.services.access.one_time import Code, first_way_in
from codex32.services.safe import plugin_audit
from codex32.services.upkeep import processes, timekeeping
from codex32_config.settings import Settings

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
#: How long requests under way may take once the process is told to stop.
ANSWER_SECONDS = 10.0
#: A connection on which nothing is asked for so long is closed; proxies let go of theirs earlier.
IDLE_SECONDS = 75.0


class AddressTaken(Codex32Error):
    """The address cannot be listened on."""

    code = "address-taken"


def run_server(runtime: Runtime, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
      AddressTaken: Somebody else listens there, or the address is not ours.
      PluginContractError: A plugin's route is not declared as it must be.
    """
    asyncio.run(_until_stopped(runtime, host, port))


async def _until_stopped(runtime: Runtime, host: str, port: int) -> None:
    stop = heed_signals_on_loop()
    async with serving(runtime, host, port):
        await _offer_the_way_in(runtime)
        # Sealing loads a large library, which only a start with other plugins needs.
        records, now = runtime.plugins.records, runtime.clock.micros()
        await runtime.door.write(partial(plugin_audit.note, records, now))
        # Else the first inputs that need it would hold up everybody's writes.
        await asyncio.to_thread(validation.load)
        if runtime.dispatcher is not None:
            # It reads its modules when it is first used, which no caller should wait for.
            await asyncio.to_thread(runtime.dispatcher.depth)
        await stop.wait()
        end_within(ANSWER_SECONDS + STOP_SECONDS)


async def _offer_the_way_in(runtime: Runtime) -> None:
    """Say once how the first administrator gets in; there is no account with a known password."""
    code, now = Code("hand"), runtime.clock.micros()
    start = Caller("local", "start", "the first start", workspace="")
    if not await runtime.door.write(partial(first_way_in, code, start, now)):
        return
    # The code goes not into the log, which is kept and passed on.
    if runtime.settings.log.format == "ecs":
        # Who wants this form takes standard output for a log, too.
        log.warning("there is no account yet; for a code run: codex32 users reset admin")
    else:
        print(
            "there is no account yet; set the password of admin, once, within a day, with:\n"
            f"    codex32 login --code {code.text}",
            flush=True,
        )


@contextlib.asynccontextmanager
async def serving(runtime: Runtime, host: str, port: int) -> AsyncIterator[str]:
    """Serve while the block runs; gives the URL. Port 0 takes any free one.

    Raises:
      AddressTaken: The address cannot be listened on.
    """
    token = await asyncio.to_thread(admin_token, runtime.settings)
    gatekeeper = Gatekeeper(token, runtime.access.recogniser)
    keeping = _keeping(runtime)
    app = build_application(all_operations(runtime), gatekeeper, keeping)
    book = await asyncio.to_thread(_call_book, runtime.settings)
    runner = Runner(
        app,
        _sockets(runtime, keeping.peers),
        access_log=None,
        shutdown_timeout=ANSWER_SECONDS,
        keepalive_timeout=IDLE_SECONDS,
    )
    await runner.setup()
    try:
        await _bind(runner, host, port)
        url = _url(host, runner.addresses[0][1])
        async with (
            _announced(runtime.settings.home / "api.json", url),
            _beating(runtime),
            _building(runtime),
            shared(keeping.limiter, book),
        ):
            log.info("listening on %s", url)
            settle_memory()
            yield url
    finally:
        await runner.cleanup()
        await runtime.leave()


def _keeping(runtime: Runtime) -> Keeping:
    settings, traces = runtime.settings.api, runtime.traces
    rates = settings.rates
    return Keeping(
        Limiter({"normal": rates.normal, "start": rates.start, "sign-in": rates.sign_in}),
        Peers(settings.trusted_proxies or ()),
        Origins(settings.cors_origins or ()),
        None if traces is None else traces.tracing,
        settings.streams,
    )


def _sockets(runtime: Runtime, peers: Peers) -> Sockets:
    settings, refused = runtime.settings.api, runtime.meter.socket_refused
    return Sockets(allowed(settings.sockets), settings.sockets_per_address, peers, refused)


def _call_book(settings: Settings) -> CallBook | None:
    """Where all processes of the API count together; None where there is no Redis."""
    url = running_redis_url(settings)
    if url is None:
        return None
    from codex32.outside.redis_calls import RedisCallBook

    return RedisCallBook(url)


async def _bind(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        why = "somebody listens there already" if error.errno == errno.EADDRINUSE else str(error)
        raise AddressTaken(f"cannot listen on {host}:{port}: {why}; choose with --port") from None


def _url(host: str, port: int) -> str:
    """Where a program on this machine reaches the API."""
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def _announced(path: Path, url: str) -> AsyncIterator[None]:
    """The file that tells others on this machine where the API is."""
    text = json.dumps({"pid": os.getpid(), "url": url})
    await asyncio.to_thread(write_private, path, text)
    try:
        yield
    finally:
        await asyncio.to_thread(_remove, path, text)


def _remove(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        if path.read_text() == text:
            path.unlink()


@contextlib.asynccontextmanager
async def _beating(runtime: Runtime) -> AsyncIterator[None]:
    heart = asyncio.create_task(_beat(runtime))
    try:
        yield
    finally:
        heart.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await heart
        await processes.leave(runtime.door, runtime.process.id)


@contextlib.asynccontextmanager
async def _building(runtime: Runtime) -> AsyncIterator[None]:
    """Work on sessions of the builder beside what is asked."""
    work = asyncio.create_task(runtime.builder.serve())
    try:
        yield
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        await runtime.models.close()


async def _beat(runtime: Runtime) -> None:
    started_at = runtime.clock.micros()
    while True:
        now = runtime.clock.micros()
        busy = processes.busy_pools(runtime.door)
        beat = partial(processes.heartbeat, runtime.process.id, "api", started_at, now, busy)
        try:
            await runtime.door.read(timekeeping.follow, runtime.clock)
            await runtime.door.write(beat, patience_seconds=HEARTBEAT_SECONDS)
            await runtime.meter.keep(runtime.door)
        except Exception as error:
            log.warning("the heartbeat could not be written: %s", error)
        await asyncio.sleep(HEARTBEAT_SECONDS)
