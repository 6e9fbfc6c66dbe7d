"""Running the tests of bots: each is a real execution on the engine, in a database of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from codex32.engine.records import claims
from codex32.engine.running.environment import Environment
from codex32.engine.running.host import Host
from codex32.engine.running.plan import Plan
from codex32.kernel.bot import Bot, Step
from codex32.kernel.clock import ManualClock, from_micros
from codex32.kernel.contracts.program import ProgramRunner
from codex32.kernel.errors import Codex32Error
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import dumps, loads
from codex32.kernel.models import NO_ITEM, ExecutionRow, StateRow, StepRow
from codex32.services.ai.money import usd
from codex32.services.bots import bots
from codex32.services.bots.written import RUN, Written
from codex32.services.cases.case import Case, Ending, Verdict
from codex32.services.cases.doubles import Doubles, Offline
from codex32.services.cases.judging import faults_of
from codex32.services.cases.mcp_double import McpDouble
from codex32.services.executions.starting import Start, Starter

#: Seconds that one test may take; its pauses do not count, they pass at once.
LIMIT_SECONDS = 60.0
_LEASE_SECONDS = 3600.0


class Trials:
    """Runs cases one after the other.

    Args:
      env: What attempts work with; what is outside is replaced for each case.
      clock: The clock of ``env``, which the cases move.
      starter: Starts them.
      allowed: Whether ``allow.hosts`` (first) names the host of a URL (second).
      origin: Who wrote the bots: ``file``, or ``builder`` for a model.
    """

    def __init__(
        self,
        env: Environment,
        clock: ManualClock,
        starter: Starter,
        allowed: Callable[[Sequence[str], str], bool],
        origin: str = "file",
    ) -> None:
        self._env, self._clock = env, clock
        self._starter, self._allowed = starter, allowed
        self.origin = origin

    @property
    def programs(self) -> ProgramRunner:
        """What runs the Python of bots, in earnest and here."""
        return self._env.programs

    async def run(self, case: Case, *, limit_seconds: float = LIMIT_SECONDS) -> Verdict:
        """Run one case to its end, or to where only a person or an event would bring it on."""
        began = time.perf_counter()
        doubles = Doubles(case, self._allowed)
        self._clock.set(case.at)
        try:
            async with asyncio.timeout(limit_seconds):
                execution_id = await self._start(case)
                await self._drive(case, doubles, execution_id)
        except TimeoutError:
            return Verdict(case, None, [f"it was not done within {limit_seconds:g} s"])
        except Codex32Error as error:
            return Verdict(case, None, [f"it cannot be started: {error}"])
        seconds = time.perf_counter() - began
        ending = await self._env.door.read(self._look, execution_id, case, doubles, seconds)
        return Verdict(case, ending, faults_of(case, ending))

    async def _start(self, case: Case) -> str:
        # Nothing that one case remembers is there in the next.
        workspace = new_id("wsp")
        written = Written.of(case.bot, "", RUN)
        now = self._clock.micros()

        def store() -> str:
            stored = bots.keep(written, now, workspace=workspace)
            state = [(stored.bot_id, key, dumps(each), now) for key, each in case.state.items()]
            if state:
                StateRow.insert_many(state).execute()
            return stored.version_id

        version_id = await self._env.door.write(store)
        start = Start(
            case.bot.name,
            case.inputs,
            trigger=case.trigger or {"kind": "manual"},
            version_id=version_id,
            workspace=workspace,
        )
        submitted = await self._starter.start(start)
        assert submitted.id is not None
        return submitted.id

    async def _drive(self, case: Case, doubles: Doubles, execution_id: str) -> None:
        components = self._env.components

        async def plan(version_id: str) -> Plan:
            return Plan.of(_unhurried(case.bot), version_id, components, self.origin)

        env = replace(
            self._env,
            plan=plan,
            call=doubles.call,
            http=doubles.http,
            notifier_rate=lambda name: None,
            programs=Offline(self._env.programs),
            secret=doubles.secret,
            connection=doubles.connection,
            start_child=doubles.start_child,
            models=doubles.models,
            collections=doubles,
            mcp=McpDouble(self._env.mcp, doubles.uncovered),
        )
        host = Host(env, "test", concurrency=1, lease_seconds=_LEASE_SECONDS)
        door = self._env.door
        while True:
            row = await door.read(ExecutionRow.get_by_id, execution_id)
            if row.finished_at is not None:
                return
            if row.status == "waiting":
                if row.ready_at is None:
                    return
                self._clock.set(max(self._clock.now(), from_micros(row.ready_at)))
                await door.write(partial(claims.wake, self._clock.micros()))
            for claim in await door.write(partial(host.take, 1, [execution_id])):
                await host.begin(claim)

    def _look(self, execution_id: str, case: Case, doubles: Doubles, seconds: float) -> Ending:
        row: ExecutionRow = ExecutionRow.get_by_id(execution_id)
        unpack = partial(self._env.payloads.unpack, row.id)
        of_it = StepRow.execution_id == row.id
        steps = {
            each.id: {"status": "pending", "output": None, "error": None, "tries": 0}
            for each in (*case.bot.steps, *case.bot.on_failure, *case.bot.finally_)
        }
        for step in StepRow.select().where(of_it & (StepRow.item == NO_ITEM)):
            steps[step.step] = {
                "status": step.status,
                "output": unpack(step.output),
                "error": unpack(step.error),
                "tries": step.tries,
            }
        state = StateRow.select().where(StateRow.bot_id == row.bot_id)
        return Ending(
            status=row.status,
            cause=row.cause,
            message=row.message,
            output=unpack(row.output),
            steps=steps,
            state={each.key: loads(each.value) for each in state},
            effects=doubles.effects,
            unmocked=doubles.unmocked,
            cost_usd=usd(doubles.models.cost_nano_usd),
            seconds=seconds,
        )


def _unhurried(bot: Bot) -> Bot:
    """The bot without rate limits, which tests would only wait for."""

    def steps(section: Sequence[Step]) -> tuple[Step, ...]:
        return tuple(replace(each, rate=None) for each in section)

    return replace(
        bot,
        rate=None,
        steps=steps(bot.steps),
        on_failure=steps(bot.on_failure),
        finally_=steps(bot.finally_),
    )
