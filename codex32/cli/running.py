"""Starting an execution and seeing it through: by live workers, or in this very process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from codex32.cli import failures
from codex32.cli.follow import Follower, ending_text
from codex32.cli.inputs import read_inputs
from codex32.cli.output import STYLES, Output
from codex32.engine.running.host import Host
from codex32.kernel.bot import Bot
from codex32.kernel.caller import Caller
from codex32.kernel.connection import snapshot
from codex32.kernel.errors import InvalidTransition
from codex32.kernel.metric_rows import ProcessRow
from codex32.kernel.models import ExecutionRow, database_proxy
from codex32.kernel.statuses import Status
from codex32.runtime import Runtime
from codex32.services.bots import bots
from codex32.services.bots.written import RUN, Written
from codex32.services.executions import executions
from codex32.services.executions.diagnosis import place, place_beneath
from codex32.services.executions.starting import Start
from codex32.services.executions.telling import step_as_dict
from codex32.services.upkeep import processes

#: Seconds between looks at the rows of an execution that is watched.
LOOK_EVERY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    subject: str
    pairs: Sequence[str]
    file: str | None
    name: str | None
    wait: bool


class Running:
    """One execution, from the wish to the exit code."""

    def __init__(self, runtime: Runtime, output: Output, wish: Wish, by: Caller) -> None:
        self.runtime, self.output, self.wish, self.by = runtime, output, wish, by
        self._interrupts = 0
        self._cancelled = False

    async def start(self) -> str | None:
        """Start it; its id, or None where its bot's gate is full and says to skip."""
        if _is_file(self.wish.subject):
            bot, version = await self._from_file(Path(self.wish.subject))
        else:
            bot, version = await self._from_registry(self.wish.subject)
        inputs = read_inputs(bot, self.wish.pairs, self.wish.file)
        start = Start(bot.name, inputs, trigger={"kind": "manual"}, version_id=version)
        return (await self.runtime.starter.start(start)).id

    async def watch(self, execution_id: str) -> int:
        """Show it to its end; the exit code that tells how it ended."""
        follower = Follower(self.output, execution_id, self.runtime.payloads)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGTERM, self._interrupt)
        try:
            if not await self._alive("worker"):
                row = await self._run_here(follower)
            else:
                row = await self._follow(follower)
        finally:
            follower.close()
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)
        await self._tell_end(row)
        return _exit_code(row)

    # what is run

    async def _from_file(self, path: Path) -> tuple[Bot, str | None]:
        reading = await asyncio.to_thread(self.runtime.reader.read_path, path)
        found = [each for each in reading.bots if self.wish.name in (None, each.name)]
        if self.wish.name is None or not found:
            found = [reading.only_bot(str(path))]
        text, source = await asyncio.to_thread(_text_and_place, path)
        written = Written.of(found[0], text, RUN, source)
        now = self.runtime.clock.micros()
        stored = await self.runtime.door.write(lambda: bots.keep(written, now))
        return found[0], stored.version_id

    async def _from_registry(self, name: str) -> tuple[Bot, str | None]:
        if not await self._alive("scheduler"):
            # Nobody watches the folders, so they are looked at once.
            await self.runtime.folder_sync().scan()
        row = await self.runtime.door.read(bots.get, name)
        if row.problems is not None and row.active_version_id is not None:
            self.output.note(f"{name}: its file has faults; the version that last worked is run")
        # No version is asked for: the starter takes the live one, or says why there is none.
        if row.active_version_id is None:
            return Bot(name=name, steps=(), document={}), None
        return await self.runtime.door.read(
            self.runtime.definitions.bot, row.active_version_id
        ), None

    # who runs it

    async def _alive(self, kind: str) -> bool:
        found = await self.runtime.door.read(processes.living, self.runtime.clock.micros())
        return any(each.kind == kind and _is_alive(each) for each in found)

    async def _follow(self, follower: Follower) -> ExecutionRow:
        while True:
            family = await self.runtime.door.read(open_family, follower.execution_id)
            look = await self.runtime.door.read(follower.look)
            follower.show(look)
            if look.row.finished_at is not None or _needs_a_person(family):
                return look.row
            await self._cancel_if_asked([look.row.id], None)
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _run_here(self, follower: Follower) -> ExecutionRow:
        """Claim this execution and those it starts, and no others, until all have ended."""
        worker, env = self.runtime.settings.worker, self.runtime.environment()
        room = asyncio.Event()
        host = Host(
            env,
            self.runtime.process.id,
            concurrency=worker.concurrency,
            lease_seconds=worker.lease_seconds,
            on_room=room.set,
        )
        host.start_heart()
        door = self.runtime.door
        try:
            while True:
                family = await door.read(open_family, follower.execution_id)
                look = await door.read(follower.look)
                follower.show(look)
                if not family or _needs_a_person(family):
                    return look.row
                ids = [each.id for each in family]
                await self._cancel_if_asked(ids, host)
                for claim in await door.write(partial(host.take, host.concurrency, ids)):
                    host.begin(claim)
                room.clear()
                await _wait(room, LOOK_EVERY_SECONDS)
        finally:
            await host.drain(0.0)
            if env.close is not None:
                await env.close()

    # its end

    def _interrupt(self) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            self.output.note("cancelling; Ctrl-C again leaves it to a later worker")
        else:
            # Its lease lapses, and whoever finds it goes on from the last recorded step.
            os._exit(failures.INTERRUPTED)

    async def _cancel_if_asked(self, ids: Sequence[str], host: Host | None) -> None:
        if not self._interrupts or self._cancelled:
            return
        self._cancelled = True
        now = self.runtime.clock.micros()
        for execution_id in ids:
            try:
                work = partial(executions.cancel, execution_id, now, by=self.by)
                await self.runtime.door.write(work)
            except InvalidTransition:
                continue
        if host is not None:
            host.cancel(ids)

    async def _tell_end(self, row: ExecutionRow) -> None:
        payloads = self.runtime.payloads
        found = await self.runtime.door.read(executions.inspect, row.id)
        data = await self.runtime.door.read(executions.detail, row, payloads)
        diagnosis = data["diagnosis"]
        data["steps"] = [step_as_dict(each, payloads) for each in found.steps]

        def show() -> None:
            self.output.line(ending_text(row), STYLES.get(row.status))
            if data["output"] is not None:
                self.output.line(_output_text(data["output"]))
            if diagnosis is not None:
                where = place_beneath(diagnosis) or place(diagnosis)
                trouble = f"trouble: {diagnosis['trouble']}" + (f" ({where})" if where else "")
                self.output.note(f"{trouble}\n{diagnosis['remedy']}")
                self.output.note(f"see: codex32 executions show {row.id}")

        self.output.result(data, show)


def open_family(execution_id: str) -> list[ExecutionRow]:
    """The execution and those it started, directly or not, that have not ended."""
    columns = ExecutionRow.id, ExecutionRow.status, ExecutionRow.ready_at, ExecutionRow.finished_at
    # At one moment: else a parent is seen to wait, and its child, looked at later, to have ended.
    with snapshot(database_proxy.obj):
        generation = list(ExecutionRow.select(*columns).where(ExecutionRow.id == execution_id))
        family: dict[str, ExecutionRow] = {row.id: row for row in generation}
        while generation:
            parents = [row.id for row in generation]
            children = ExecutionRow.select(*columns).where(ExecutionRow.parent_id.in_(parents))
            generation = [row for row in children if row.id not in family]
            family.update((row.id, row) for row in generation)
    return [row for row in family.values() if row.finished_at is None]


def _text_and_place(path: Path) -> tuple[str, str]:
    return path.read_text(encoding="utf-8"), str(path.absolute())


def _is_alive(row: ProcessRow) -> bool:
    """Whether a process whose heart beat lately is there; of other machines one has to believe."""
    if row.host != socket.gethostname():
        return True
    try:
        os.kill(row.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _needs_a_person(family: Sequence[ExecutionRow]) -> bool:
    """Whether no lapse of time will bring any of the executions on."""
    return bool(family) and all(
        row.status == Status.WAITING and row.ready_at is None for row in family
    )


def _exit_code(row: ExecutionRow) -> int:
    if row.finished_at is None:
        return failures.UNDECIDED
    return failures.OK if row.status in (Status.SUCCEEDED, Status.SKIPPED) else failures.FAILED


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _is_file(subject: str) -> bool:
    """Whether ``BOT|FILE`` names a file: it has its ending, a folder, or is there."""
    path = Path(subject)
    return path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.is_file()


def _output_text(value: object) -> str:
    """An execution's output for people: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
