"""Codex-32 under measurement: its processes on a fresh database, and this one that submits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import peewee as pw

from benchmarks import processes
from benchmarks.drive import WARM_UP, Drive
from benchmarks.servers import Servers
from codex32.installed import load_plugins
from codex32.kernel.caller import DEFAULT_WORKSPACE
from codex32.kernel.database import fetch
from codex32.kernel.models import AttemptRow, BotRow, ExecutionRow, StepRow
from codex32.kernel.statuses import Status
from codex32.outside.children import Children
from codex32.runtime import Runtime, open_runtime
from codex32.services.bots.written import API, Written
from codex32.services.executions.starting import Start
from codex32.services.upkeep.processes import living
from codex32.tables import upgrade_schema
from codex32_config.settings import load_settings

CALLERS = 64
CONNECTIONS = 32
TOKEN = "benchmark"

#: The bots that are measured, and the rows of steps an execution of each leaves.
BOTS = {
    "one": ("name: one\ntype: set\nwith: {values: {}}\n", 1),
    "three": (
        "name: three\nsteps:\n"
        "  - {id: a, type: set, with: {values: {}}}\n"
        "  - {id: b, type: set, with: {values: {}}}\n"
        "  - {id: c, type: set, with: {values: {}}}\n",
        3,
    ),
    **{
        f"each-{parallel}": (
            f"name: each-{parallel}\ninputs: {{items: {{type: array}}}}\nsteps:\n"
            "  - id: each\n    type: set\n    foreach: '${{ inputs.items }}'\n"
            f"    parallel: {parallel}\n    with: {{values: {{}}}}\n",
            1001,
        )
        for parallel in (1, 50)
    },
}


class House:
    """Running worker processes, and a runtime that submits to them.

    Attributes:
      runtime: Of this process.
      children: The processes beside it.
    """

    def __init__(
        self, servers: Servers, runtime: Runtime, children: Children, command: Sequence[str]
    ) -> None:
        self.runtime, self.children = runtime, children
        self._servers, self._command = servers, command
        self._expected = self._expected_steps = 0

    async def run(self, bot: str, count: int, inputs: Mapping[str, Any] | None = None) -> Drive:
        """Start a bot ``count`` times through the service, and wait until all have ended."""
        start = partial(Start, bot=bot, inputs=inputs or {})

        async def submit() -> None:
            await self.runtime.starter.start(start())

        return await self._run(bot, count, CALLERS, submit)

    async def run_by_http(self, bot: str, count: int) -> Drive:
        """The same through the HTTP API."""
        home = self.runtime.settings.home
        url = json.loads((home / "api.json").read_text())["url"]
        async with aiohttp.ClientSession(
            url,
            headers={"Authorization": f"Bearer {TOKEN}"},
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        ) as session:

            async def submit() -> None:
                async with session.post(f"/api/v1/bots/{bot}/execute", json={}) as answer:
                    if answer.status != 202:
                        raise RuntimeError(f"the API answered {await answer.text()}")
                    await answer.read()

            return await self._run(bot, count, CONNECTIONS, submit)

    async def _run(
        self, bot: str, count: int, callers: int, submit: Callable[[], Awaitable[None]]
    ) -> Drive:
        self.expect(bot, count)
        left = iter(range(count))

        async def caller() -> None:
            for _ in left:
                await submit()

        drive = Drive.begin(count, self._servers.postgresql_pid())
        await asyncio.gather(*(caller() for _ in range(callers)))
        drive.submitted()
        await self.settled()
        return drive.end(self._servers.postgresql_pid())

    async def settled(self) -> None:
        """Until nothing is left to do."""
        async with asyncio.timeout(processes.PATIENCE_SECONDS):
            while await self.runtime.door.read(_open):
                self.children.look()
                await asyncio.sleep(0.01)

    def launch(self, name: str, *command: str) -> None:
        """Start one more process of ``codex32``."""
        self.children.start(name, [*self._command, *command])

    def wait_for(self, kind: str, count: int) -> None:
        """Wait until ``count`` processes of a kind are alive."""
        door, clock = self.runtime.door, self.runtime.clock

        def ready() -> bool:
            found = door.read_now(living, clock.micros())
            return sum(process.kind == kind for process in found) == count

        processes.wait(f"{count} processes of the kind {kind}", ready, self.children)

    def expect(self, bot: str, count: int) -> None:
        """Know of ``count`` executions of a bot, for :meth:`verify`."""
        self._expected += count
        self._expected_steps += count * BOTS[bot][1]

    def verify(self) -> None:
        """Hold the record against what was submitted.

        Raises:
          RuntimeError: An execution did not succeed, was attempted twice, or lacks a step.
        """
        found = self.runtime.door.read_now(_count)
        wanted = {
            "succeeded at the first attempt": self._expected,
            "executions": self._expected,
            "attempts": self._expected,
            "executions with an attempt": self._expected,
            "steps": self._expected_steps,
            "executions with a step": self._expected,
        }
        if found != wanted:
            raise RuntimeError(f"the record is wrong: {found}, and not {wanted}")


def _open() -> bool:
    # With the workspace an index answers: looking through a long history every 10 ms would take
    # from the rate that is measured.
    left = ExecutionRow.status.in_([Status.QUEUED, Status.RUNNING, Status.WAITING])
    mine = ExecutionRow.workspace == DEFAULT_WORKSPACE
    return bool(fetch(ExecutionRow.select(pw.SQL("1")).where(mine & left).limit(1)))


def _count() -> dict[str, int]:
    """Of the bots that are driven; others may have a history of their own."""
    ours = ExecutionRow.bot_name.in_(list(BOTS))
    ids = ExecutionRow.select(ExecutionRow.id).where(ours)
    good = ours & (ExecutionRow.status == Status.SUCCEEDED) & (ExecutionRow.attempt == 1)
    attempts = AttemptRow.select(AttemptRow.execution_id).where(AttemptRow.execution_id.in_(ids))
    steps = StepRow.select(StepRow.execution_id).where(StepRow.execution_id.in_(ids))
    return {
        "succeeded at the first attempt": ExecutionRow.select().where(good).count(),
        "executions": ids.count(),
        "attempts": attempts.count(),
        "executions with an attempt": attempts.distinct().count(),
        "steps": steps.where(StepRow.status == "succeeded").count(),
        "executions with a step": steps.distinct().count(),
    }


@contextmanager
def standing(
    servers: Servers,
    database: str,
    workers: int,
    *,
    others: Sequence[str] = (),
    bots: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[House]:
    """Codex-32 on a fresh database, warm, and with its record verified at the end.

    Args:
      servers: Redis and the database server.
      database: ``sqlite`` or ``postgresql``.
      workers: Processes that run executions.
      others: Further processes: ``serve``, ``scheduler``.
      bots: Files for the watched folder, by name.
      more: Further settings, as variables of the environment.
    """
    servers.empty_redis()
    folder = servers.new_folder()
    (folder / "bots").mkdir()
    for name, text in (bots or {}).items():
        (folder / "bots" / name).write_text(text)
    with servers.database(database, folder) as url:
        ours = _environment(folder, url, servers.redis_url) | dict(more or {})
        settings = load_settings(folder=folder, environ=ours)
        plugins = load_plugins(settings)
        upgrade_schema(settings, plugins)
        commands = {f"worker {n}": ["worker", "--processes", "1"] for n in range(workers)}
        commands |= {name: [name] for name in others}
        python = [sys.executable, "-P", "-m", "codex32", "--folder", str(folder)]
        named = {name: [*python, *command] for name, command in commands.items()}
        environment = {**_foreign(), **ours}
        with processes.children(named, environment, folder / "log") as children:
            runtime = open_runtime(settings, "cli", plugins=plugins)
            try:
                house = House(servers, runtime, children, python)
                _write_bots(runtime)
                _wait_until_ready(house, workers, "serve" in others)
                if workers:
                    asyncio.run(house.run("one", WARM_UP))
                yield house
                house.verify()
            finally:
                runtime.close()


def _environment(folder: Path, database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "CODEX32_HOME": str(folder / "home"),
        "CODEX32_DATABASE_URL": database_url,
        "CODEX32_REDIS_URL": redis_url,
        "CODEX32_API__PORT": "0",
        "CODEX32_API__TOKEN": TOKEN,
        "CODEX32_LOG__LEVEL": "warning",
    }


def _foreign() -> dict[str, str]:
    """The environment without settings of ours, which must not reach what is measured."""
    names = {"DATABASE_URL", "REDIS_URL"}
    return {k: v for k, v in os.environ.items() if not k.startswith("CODEX32_") and k not in names}


def _write_bots(runtime: Runtime) -> None:
    read = [(runtime.reader.read_text(text).only_bot(), text) for text, _ in BOTS.values()]
    written = [Written.of(bot, text, API) for bot, text in read]
    now = runtime.clock.micros()
    runtime.door.write_now(lambda: runtime.registry.store_many(written, now))


def _wait_until_ready(house: House, workers: int, api: bool) -> None:
    address = house.runtime.settings.home / "api.json"
    house.wait_for("worker", workers)
    if api:
        processes.wait("the API", address.exists, house.children)


def bots_live(names: str) -> int:
    """How many bots of a name like ``names`` have a live version; for ``Door.read``."""
    live = BotRow.active_version_id.is_null(False)
    return BotRow.select().where(BotRow.name.startswith(names) & live).count()
