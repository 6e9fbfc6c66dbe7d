"""The parts of a step while it runs: what its bot type has recorded, asked and done on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase

from codex32.engine.records.advance import StepRecord
from codex32.engine.records.parts import part_id
from codex32.engine.running.course import Course
from codex32.engine.running.entry import Parked, StepResult
from codex32.engine.running.origins import Way
from codex32.engine.running.plan import PlannedStep
from codex32.engine.running.planned_tools import PlannedTool
from codex32.engine.running.results import Known
from codex32.engine.values.validation import Validator, schema_findings
from codex32.kernel.clock import from_micros
from codex32.kernel.contracts.bot_type import StepContext
from codex32.kernel.contracts.llm import Tool
from codex32.kernel.contracts.tools import Offer, ToolRefused, ToolResult
from codex32.kernel.errors import CapabilityRefused, StepFault
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.outcomes import Waiting
from codex32.kernel.statuses import StepStatus
from codex32.kernel.text import did_you_mean

#: Tools of one step, and characters of what one is described and declared with.
_MOST_TOOLS, _LONGEST_DESCRIPTION, _LONGEST_SCHEMA = 128, 4000, 20_000
#: Characters of arguments that a person can be asked to read.
_LONGEST_ASKED = 20_000
_MOST_FAULTS = 10

#: Does a step as a part: what is planned, what expressions see beside the scope of the step, and
#: how strangers reach what it is given.
Begin = Callable[[PlannedStep, Mapping[str, JSON], Way], Awaitable[StepResult]]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A tool that can be used: ``offer`` where its bot type told what it takes."""

    planned: PlannedTool
    tool: Tool
    offer: Offer | None = None

    def arguments(self, given: Mapping[str, JSON]) -> dict[str, JSON]:
        """What the tool is given, with its defaults.

        Raises:
          ToolRefused: It does not fit the schema.
        """
        faults = Validator(self.tool.schema).findings(dict(given))
        if faults:
            told = "; ".join(
                f"{'.'.join(map(str, each.path)) or 'the arguments'}: {each.message}"
                for each in faults[:_MOST_FAULTS]
            )
            raise ToolRefused(f"{self.tool.name} does not take these arguments: {told}")
        properties = self.tool.schema.get("properties", {})
        defaults = {name: s["default"] for name, s in properties.items() if "default" in s}
        return {**defaults, **given}

    def step(self, arguments: Mapping[str, JSON]) -> PlannedStep:
        """What does it."""
        if self.offer is None:
            return self.planned.step
        return self.planned.offered(self.offer, arguments)


class Parts:
    """The parts of one try of a step, or of one item of it.

    They are numbered in the order in which the bot type asks for them, so a try that goes on
    after a crash or a wait finds those of the try before.

    Args:
      course: The execution.
      planned: The step.
      item: Its item, or ``NO_ITEM``.
      scope: What its expressions see.
      begin: Does a step as a part.
      way: How strangers reach what the step is given.
    """

    def __init__(
        self,
        course: Course,
        planned: PlannedStep,
        item: int,
        scope: Mapping[str, JSON],
        begin: Begin,
        way: Way,
    ) -> None:
        self._course, self._planned, self._item = course, planned, item
        self._scope, self._begin = scope, begin
        #: How strangers reached what the step has read so far; empty where they did not.
        self.way = way
        self._number = 0
        self._tools: dict[str, _Ready] = {}

    def _next(self, name: str) -> str:
        self._number += 1
        return part_id(self._planned.id, self._number, name)

    async def recorded(self, name: str, make: Callable[[], Awaitable[JSON]]) -> JSON:
        """As ``StepContext.recorded``."""
        course, part = self._course, self._next(name)
        known = course.results.get(part, self._item)
        if known is not None and known.final:
            return known.output
        started = course.env.clock.micros()
        value, packed = await course.book.pack_masked(await make())
        now = course.env.clock.micros()
        record = StepRecord(
            part, self._item, "succeeded", 1, None, packed, None, "none", None, started, now
        )
        fault_point("part.made")
        await course.book.record_done([record])
        fault_point("part.recorded")
        course.results.put(part, self._item, Known(StepStatus.SUCCEEDED, 1, output=value))
        return value

    # tools

    async def tools(self, context: StepContext) -> Sequence[Tool]:
        """As ``StepContext.tools``."""
        entries = self._planned.tools
        if any(entry.args is None for entry in entries):

            async def ask() -> JSON:
                return [await self._offered(context, entry) for entry in entries]

            offered = await self.recorded("tools", ask)
        else:
            offered = [[] for _ in entries]
        self._tools = {}
        for entry, offers in zip(entries, offered, strict=True):
            for ready in _ready(entry, [Offer(**each) for each in offers]):
                self._take(ready)
        return [ready.tool for ready in self._tools.values()]

    async def _offered(self, context: StepContext, entry: PlannedTool) -> JSON:
        if entry.args is not None:
            return []
        kind = entry.step.type
        offers = await kind.offers(context, entry.step.params.evaluate(self._scope))
        if offers is None:
            raise StepFault(f"a tool of the type {kind.name} needs args", code="tool")
        return [asdict(offer) for offer in offers]

    def _take(self, ready: _Ready) -> None:
        name, allow = ready.tool.name, self._course.plan.bot.allow
        if not any(fnmatchcase(name, pattern) for pattern in allow.tools):
            raise CapabilityRefused("tools", name)
        if name in self._tools or len(self._tools) == _MOST_TOOLS:
            why = f"two are called {name}" if name in self._tools else f"more than {_MOST_TOOLS}"
            raise StepFault(f"the tools of {self._planned.id}: {why}", code="tool")
        self._tools[name] = ready

    async def use(self, name: str, arguments: Mapping[str, JSON]) -> ToolResult | Waiting:
        """As ``StepContext.use``."""
        ready = self._tools.get(name)
        if ready is None:
            there = ", ".join(self._tools) or "none"
            raise ToolRefused(
                f"there is no tool {name!r}{did_you_mean(name, self._tools)}; there are: {there}"
            )
        given = ready.arguments(arguments)
        if ready.planned.writes and self.way:
            refused = await self._permitted(name, given)
            if refused is not None:
                return refused
        known = await self._do(name, ready.step(given), {"args": given})
        if isinstance(known, Waiting):
            return known
        way = self._way_through(ready)
        self.way = self.way or way
        return _result(known, foreign=bool(way))

    def _way_through(self, ready: _Ready) -> Way:
        """How strangers reach the answer of a tool: what it reads, or what its author hands it."""
        step = ready.planned.step
        if ready.planned.foreign:
            return (f"the tool {ready.tool.name} ({step.type.name})",)
        return self._course.origins.of(replace(step, foreach=self._planned.foreach))

    async def _permitted(
        self, name: str, arguments: Mapping[str, JSON]
    ) -> ToolResult | Waiting | None:
        """Ask a person, since strangers may have led the model; None where the tool may be used.

        Raises:
          ToolRefused: Nobody could read the arguments.
        """
        shown = dumps(dict(arguments))
        if len(shown) > _LONGEST_ASKED:
            raise ToolRefused(
                f"a person has to permit {name}, and can read at most {_LONGEST_ASKED} "
                f"characters of arguments; these are {len(shown)}"
            )
        text = (
            f"{self._planned.id} wants to use {name} with {shown}. "
            f"It has read text that strangers may have written: {' → '.join(self.way)}"
        )
        kind = self._course.env.components.bot_type("approve")
        asking = PlannedStep.bare(self._planned.id, kind, {"text": text})
        known = await self._do("approve", asking, {})
        if isinstance(known, Waiting):
            return known
        answer = known.output if isinstance(known.output, Mapping) else {}
        if answer.get("approved") is True:
            return None
        note = f": {answer['note']}" if answer.get("note") else ""
        return ToolResult(error=f"a person did not permit it{note}")

    async def _do(
        self, name: str, planned: PlannedStep, more: Mapping[str, JSON]
    ) -> Known | Waiting:
        """Do a step as the next part, unless that was done before."""
        course, part = self._course, self._next(name)
        known = course.results.get(part, self._item)
        if known is not None and known.final:
            return known
        course.book.types[part] = planned.type.name
        planned = replace(planned, id=part, step=replace(planned.step, id=part))
        result = await self._begin(planned, more, self.way)
        if isinstance(result, Parked):
            return Waiting(None if result.until is None else from_micros(result.until))
        await course.book.record_done([result.record], result.state, result.events)
        fault_point("part.recorded")
        course.results.put(part, self._item, result.known)
        course.keep(result.state)
        return result.known


def _ready(entry: PlannedTool, offers: Sequence[Offer]) -> list[_Ready]:
    if entry.args is not None:
        return [_Ready(entry, Tool(entry.name, entry.description, entry.schema))]
    found = []
    for offer in offers:
        many = f"{entry.name}_{offer.name}" if len(offers) > 1 else entry.name
        name = many if entry.name else offer.name
        described = entry.description or offer.description
        schema = dict(offer.schema)
        if len(described) > _LONGEST_DESCRIPTION or len(dumps(schema)) > _LONGEST_SCHEMA:
            raise StepFault(f"the tool {name} is described at too great a length", code="tool")
        if faults := list(schema_findings(schema)):
            message = f"the tool {name} declares no sound schema: {faults[0].message}"
            raise StepFault(message, code="tool")
        found.append(_Ready(entry, Tool(name, described, schema), offer))
    return found


def _result(known: Known, *, foreign: bool) -> ToolResult:
    if known.status is StepStatus.SUCCEEDED:
        output = known.output
        if known.note.get("resolved") == "sent":
            output = {"done": True, "note": "a person says that it was done; the answer is lost"}
        return ToolResult(output, foreign=foreign)
    if known.status is StepStatus.SKIPPED:
        why = f"nothing was done: {known.note.get('reason', '')}"
        return ToolResult(error=why, foreign=foreign)
    error = known.error if isinstance(known.error, Mapping) else {}
    return ToolResult(error=str(error.get("message", "it failed")), foreign=foreign)
