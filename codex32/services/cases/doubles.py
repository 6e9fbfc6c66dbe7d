"""What stands in for the outside while a test runs: for steps, for other machines, for secrets.

A step without a mock is done for real as long as it keeps inside; the moment it would reach out,
the test fails, whatever the bot makes of the failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codex32.engine.records.parts import place_of_tool
from codex32.engine.running.faults import cause_of
from codex32.kernel.contracts.bot_type import BotType, StepContext
from codex32.kernel.contracts.collections import (
    AnswerOrder,
    CollectionKeeper,
    IndexOrder,
    SearchOrder,
)
from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.program import Program, ProgramHost, ProgramResult, ProgramRunner
from codex32.kernel.errors import StepFault
from codex32.kernel.json_values import JSON
from codex32.kernel.outcomes import Effect, Failed, Outcome, Succeeded
from codex32.services.cases.case import Case, holds
from codex32.services.cases.http_double import HttpDouble
from codex32.services.cases.model_double import ModelDouble

#: What is told where nothing stands in; the step is not tried again.
UNMOCKED = "unmocked"
#: What stands in for these answers their requests, and not their steps.
_BY_REQUEST = ("http", "llm")


class Doubles(CollectionKeeper):
    """Everything that stands in, for one run of one case.

    Args:
      case: Which mocks there are.
      allowed: Whether ``allow.hosts`` (first) names the host of a URL (second).
    """

    def __init__(self, case: Case, allowed: Callable[[Sequence[str], str], bool]) -> None:
        self._case, self._allowed = case, allowed
        self._served: Counter[tuple[str, int]] = Counter()
        self._http = HttpDouble(case.mocks.get("http", ()), self.uncovered)
        #: Calls no model; belongs into the environment.
        self.models = ModelDouble(_listed(case.mocks.get("llm")), self.uncovered)
        self.effects: list[Mapping[str, JSON]] = []
        self.unmocked: list[str] = []

    # the parts of an ``Environment``

    def http(self, hosts: Sequence[str]) -> HttpClient:
        """The client of a bot that may reach ``hosts``."""
        return self._http.for_hosts(hosts, self._allowed)

    async def secret(self, workspace: str, name: str) -> str | None:
        """Never the real one."""
        return self._case.secrets.get(name, f"secret-{name.lower()}")

    async def connection(self, workspace: str, name: str) -> Any:
        """What is at its other end is outside."""
        raise self.uncovered(f"it would use the connection {name}")

    async def start_child(self, _: Any) -> Any:
        """Other bots are outside, too."""
        raise self.uncovered("it would start another bot")

    async def index(self, caller: Any, order: IndexOrder) -> Any:
        """Collections outlive a test and cost money."""
        raise self.uncovered(f"it would index into the collection {order.collection}")

    async def search(self, caller: Any, order: SearchOrder) -> Any:
        """Likewise."""
        raise self.uncovered(f"it would search the collection {order.collection}")

    async def answer(self, caller: Any, order: AnswerOrder) -> Any:
        """Likewise."""
        raise self.uncovered(f"it would answer from the collection {order.collection}")

    async def call(
        self, bot_type: BotType, context: StepContext, params: Mapping[str, JSON]
    ) -> Outcome:
        """A try of a step: as it is mocked, else for real."""
        effect = bot_type.effect(params)
        if effect is not Effect.NONE:
            step = context.step
            done = {
                "step": place_of_tool(step.id),
                "item": step.item,
                "type": step.type,
                "with": dict(params),
            }
            self.effects.append(done)
        answer = self._answer(bot_type, context, params)
        if answer is not None:
            return _outcome(answer, bot_type)
        if bot_type.name != "notify":
            return await bot_type.run(context, params)
        if params.get("to") == "log":
            return Succeeded({"id": "log"})
        place = f"notify {params.get('to')}"
        raise self.uncovered(f"step {context.step.id} would send a notification: {place}")

    # which mock

    def _answer(
        self, bot_type: BotType, context: StepContext, params: Mapping[str, JSON]
    ) -> Mapping[str, JSON] | None:
        mock = self._case.mocks.get(place_of_tool(context.step.id))
        if isinstance(mock, Mapping):
            return _of_step(mock, context)
        rules = self._case.mocks.get(bot_type.name)
        if bot_type.name in _BY_REQUEST or not isinstance(rules, Sequence):
            return None
        for index, rule in enumerate(rules):
            place = (bot_type.name, index)
            used_up = self._served[place] >= rule.get("times", float("inf"))
            if not used_up and holds(rule.get("if", True), {"params": dict(params)}):
                self._served[place] += 1
                return dict(rule)
        message = f"no mock of {bot_type.name} fits step {context.step.id}"
        raise self.uncovered(f"{message}: {_short(params)}")

    def uncovered(self, what: str) -> StepFault:
        """The fault of what no mock stands in for; the test fails by it, whatever the bot does."""
        self.unmocked.append(what)
        return StepFault(f"{what}, and no mock stands in for it", code=UNMOCKED)


class Offline(ProgramRunner):
    """Runs programs as ``runner`` does, with no hosts and no files beside their own folder."""

    def __init__(self, runner: ProgramRunner) -> None:
        self._runner = runner

    async def run(self, program: Program, host: ProgramHost) -> ProgramResult:
        """Run to the end; see :meth:`ProgramRunner.run`."""
        return await self._runner.run(replace(program, hosts=(), files=()), host)

    async def prepare(self) -> None:
        """Find out what programs will be kept in by."""
        await self._runner.prepare()


def _of_step(mock: Mapping[str, Any], context: StepContext) -> Mapping[str, JSON]:
    step = context.step
    if "tries" in mock:
        return dict(mock["tries"][min(step.number, len(mock["tries"])) - 1])
    if step.item is None:
        if "items" in mock:
            raise StepFault(f"the mock of {step.id} has items, and it has no foreach")
        return mock
    answers = mock.get("items", mock.get("output"))
    if "error" in mock:
        return mock
    if not isinstance(answers, Sequence) or step.item >= len(answers):
        raise StepFault(f"the mock of {step.id} has no answer for item {step.item}")
    return dict(answers[step.item]) if "items" in mock else {"output": answers[step.item]}


def _outcome(answer: Mapping[str, Any], bot_type: BotType) -> Outcome:
    if "error" not in answer:
        return Succeeded(answer.get("output"))
    code = answer.get("code", "mocked")
    retryable, cause = answer.get("retryable", False), cause_of(code, bot_type.name)
    return Failed(answer["error"], retryable=retryable, code=code, cause=cause)


def _listed(mocks: JSON) -> Sequence[Mapping[str, Any]]:
    """The rules of a list; a mapping is the mock of a step of that name."""
    return mocks if isinstance(mocks, list) else ()


def _short(params: Mapping[str, JSON]) -> str:
    text = ", ".join(f"{name}: {value!r}" for name, value in params.items())
    return text if len(text) <= 120 else f"{text[:117]}..."
