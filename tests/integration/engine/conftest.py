"""A whole engine on a real database, with bot types that do as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from codex32 import (
    BotType,
    Effect,
    Failed,
    Notification,
    Notifier,
    Outcome,
    Receipt,
    Skipped,
    StepContext,
    Succeeded,
)
from codex32.builtin import plugin as builtin
from codex32.builtin.bot_types.approve import ApproveBotType
from codex32.builtin.bot_types.gather import GatherBotType
from codex32.builtin.bot_types.wait import WaitBotType
from codex32.engine.reading.definition import Reader
from codex32.engine.records.advance import Claim
from codex32.engine.running.attempt import Attempt
from codex32.engine.running.environment import Destination, Environment
from codex32.engine.running.host import Host
from codex32.engine.running.plan import Plan
from codex32.engine.values import dialect  # noqa: F401 - else the first bot would load it on the loop
from codex32.kernel.components import Components
from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import canonical
from codex32.kernel.models import BotRow, StateRow, VersionRow
from codex32.kernel.notices import Happenings, Notice
from codex32.kernel.payloads import PayloadStore
from codex32.outside.addresses import GuardedAddresses
from codex32.outside.sandboxes.choice import SandboxRules
from codex32.outside.sandboxes.linux import NamespaceSandbox
from codex32.outside.sandboxes.runner import SandboxedRunner
from codex32.services.bots.definitions import Definitions
from codex32.services.executions import executions
from codex32.services.executions.executions import Inspection
from codex32.services.executions.starting import Start, Starter

Script = Callable[[StepContext, Mapping[str, Any]], Any]


class Scripted(BotType):
    """Calls the function that the test has put under ``do``."""

    name: ClassVar[str] = "scripted"
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "do": {"type": "string", "description": "Name of the function."},
            "value": {"description": "Anything."},
            "effect": {"enum": ["none", "idempotent", "once"], "description": "Its effect."},
        },
    }

    def __init__(self) -> None:
        self.functions: dict[str, Script] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def effect(self, params: Mapping[str, Any]) -> Effect:
        return Effect(params.get("effect", "none"))

    async def run(self, context: StepContext, params: Mapping[str, Any]) -> Outcome:
        self.calls.append((context.step.id, params))
        result = self.functions[params["do"]](context, params)
        if asyncio.iscoroutine(result):
            result = await result
        outcomes = (Succeeded, Failed, Skipped)
        return (
            result
            if isinstance(result, outcomes) or hasattr(result, "until")
            else Succeeded(result)
        )


class Sink(Notifier):
    """Keeps what it is sent."""

    name = "sink"

    def __init__(self) -> None:
        self.sent: list[tuple[Notification, str]] = []

    async def send(self, notification, target, *, http, timeout_seconds):
        self.sent.append((notification, target))
        return Receipt(id=str(len(self.sent)))


@dataclass
class Engine:
    """Runs bots given as YAML."""

    door: Door
    env: Environment
    reader: Reader
    starter: Starter
    scripted: Scripted
    sink: Sink
    secrets: dict[str, str]
    connections: dict[str, Destination]
    events: list[Any] = field(default_factory=list)

    def do(self, name: str, function: Script) -> None:
        self.scripted.functions[name] = function

    async def add(self, text: str) -> str:
        """Store the bots of a text; the name of the first."""
        reading = self.reader.read_text(text, file="test.yaml", default_name="test")
        assert not reading.problems, "\n".join(map(str, reading.problems))
        for bot in reading.bots:
            document = canonical(bot.document)
            version, bot_id = new_id("ver"), new_id("bot")

            def write(bot=bot, version=version, bot_id=bot_id, document=document) -> None:
                BotRow.create(
                    id=bot_id,
                    workspace="default",
                    name=bot.name,
                    origin="api",
                    active_version_id=version,
                    created_at=0,
                    updated_at=0,
                )
                VersionRow.create(
                    id=version,
                    bot_id=bot_id,
                    number=1,
                    digest="",
                    document=document,
                    text=text,
                    origin="api",
                    created_at=0,
                )

            await self.door.write(write)
        return reading.bots[0].name

    async def start(self, bot: str, /, **inputs: Any) -> str:
        submitted = await self.starter.start(Start(bot=bot, inputs=inputs))
        assert submitted.id is not None
        return submitted.id

    async def host(self, worker: str = "worker", **options: Any) -> Host:
        return Host(self.env, worker, **options)

    async def claim(self, worker: str = "worker", lease_seconds: float = 60.0) -> list[Claim]:
        host = await self.host(worker, lease_seconds=lease_seconds)
        return await self.door.write(lambda: host.take(100))

    async def work(self) -> None:
        """Run what may run now, and what comes of it, until nothing may."""
        while claims := await self.claim():
            await asyncio.gather(*(Attempt(self.env, claim).run() for claim in claims))

    async def run(self, text: str, /, **inputs: Any) -> Inspection:
        """Store, start and work; everything recorded of the execution."""
        execution_id = await self.start(await self.add(text), **inputs)
        await self.work()
        return await self.inspect(execution_id)

    async def inspect(self, execution_id: str) -> Inspection:
        return await self.door.read(executions.inspect, execution_id)

    async def output(self, execution_id: str) -> Any:
        row = (await self.inspect(execution_id)).execution
        return self.env.payloads.unpack(row.id, row.output)

    async def logs(self, execution_id: str) -> list[str]:
        rows = await self.door.read(executions.log_lines, execution_id)
        return [row.message for row in rows]

    async def state(self) -> dict[str, Any]:
        rows = await self.door.read(lambda: list(StateRow.select()))
        return {row.key: json.loads(row.value) for row in rows}

    async def everything_written(self) -> str:
        """All texts of all rows, to look for what must not be in them."""

        def read() -> str:
            from codex32.kernel.models import ROWS

            return "\n".join(str(row) for rows in ROWS for row in rows.select().tuples())

        return await self.door.read(read)


def statuses(inspection: Inspection) -> dict[str, str]:
    """The statuses of an execution's steps; items as ``id[0]``."""
    return {
        row.step if row.item < 0 else f"{row.step}[{row.item}]": row.status
        for row in inspection.steps
    }


@pytest.fixture
def status_of():
    return statuses


@pytest.fixture
async def engine(open_door, manual_clock, tmp_path: Path):
    events: list[Any] = []

    def told(notices: Sequence[Notice]) -> None:
        for notice in notices:
            events.extend(notice.events() if isinstance(notice, Happenings) else [notice])

    door = open_door(on_commit=told)
    scripted, sink = Scripted(), Sink()
    timed = [kind(manual_clock) for kind in (ApproveBotType, GatherBotType, WaitBotType)]
    names = {each.name for each in timed}
    others = [each for each in builtin.register_bot_types() if each.name not in names]
    components = Components.of(
        bot_types=[*others, *timed, scripted],
        trigger_types=[*builtin.register_trigger_types()],
        notifiers=[*builtin.register_notifiers(), sink],
    )
    reader = Reader(components)
    payloads = PayloadStore(tmp_path / "payloads", 2000)
    definitions = Definitions(reader.from_document)
    starter = Starter(door, definitions, payloads, manual_clock)
    secrets: dict[str, str] = {}
    connections: dict[str, Destination] = {}

    async def plan(version_id: str) -> Plan:
        bot = await door.read(definitions.bot, version_id)
        return Plan.of(bot, version_id, components)

    async def call(bot_type, context, params):
        return await bot_type.run(context, params)

    async def secret(workspace: str, name: str) -> str | None:
        return secrets.get(f"{workspace}/{name}", secrets.get(name))

    async def connection(workspace: str, name: str) -> Destination | None:
        return connections.get(name)

    sandbox = NamespaceSandbox()
    programs = SandboxedRunner({sandbox.name: sandbox}, SandboxRules(), max_parallel=4)
    env = Environment(
        door=door,
        components=components,
        payloads=payloads,
        plan=plan,
        call=call,
        http=lambda hosts: None,  # type: ignore[arg-type,return-value]
        programs=programs,
        secret=secret,
        connection=connection,
        address=GuardedAddresses(["127.0.0.1"]),
        start_child=starter.start_child,
        clock=manual_clock,
    )
    yield Engine(door, env, reader, starter, scripted, sink, secrets, connections, events)
    await programs.close()
