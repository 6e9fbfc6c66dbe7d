"""What a step may do, as the engine lets it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property

from codex32.engine.expressions import evaluate
from codex32.engine.records import gathered, seen
from codex32.engine.running import telling
from codex32.engine.running.course import Course
from codex32.engine.running.origins import Way
from codex32.engine.running.others import OtherBots
from codex32.engine.running.parts import Parts
from codex32.engine.running.programs import StepHost, file_grants, granted
from codex32.engine.running.timer import Timer
from codex32.kernel.bot import Allow
from codex32.kernel.clock import from_micros, to_micros
from codex32.kernel.contracts.bot_type import StepContext
from codex32.kernel.contracts.collections import (
    CollectionCaller,
    Collections,
    CollectionsOf,
)
from codex32.kernel.contracts.embedder import EmbeddingPurpose, Vector
from codex32.kernel.contracts.gateway import ModelCaller, ModelGateway
from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.llm import Completion, CompletionRequest, Tool
from codex32.kernel.contracts.mcp import McpCaller, McpServers, McpServersOf
from codex32.kernel.contracts.notifier import Notification, Receipt
from codex32.kernel.contracts.program import Program, ProgramHost, ProgramResult
from codex32.kernel.contracts.tools import ToolResult
from codex32.kernel.errors import StepFault
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.models import NO_ITEM
from codex32.kernel.outcomes import Waiting
from codex32.kernel.views import (
    BotCard,
    Connection,
    ExecutionInfo,
    ExecutionRef,
    Gathered,
    StepInfo,
    Waited,
)

_STREAM_LEVELS = {"stdout": "info", "stderr": "warning"}
#: Characters of JSON that one step may bring to be handed out with others' things.
_MOST_GATHERED = 256 * 1024


class EngineContext(StepContext):
    """The context of one try of one step."""

    def __init__(
        self,
        course: Course,
        step: StepInfo,
        waited: Waited | None,
        timer: Timer,
        parts: Callable[[], Parts],
    ) -> None:
        self._course = course
        self._env = course.env
        self._allow: Allow = course.plan.bot.allow
        self.step = step
        self.waited = waited
        self._timer = timer
        self._make_parts = parts
        self._asked: dict[str, set[int]] = {}
        self._others = OtherBots(course, step)
        #: Whether it may have read text of strangers by itself, and not by its tools.
        self._fetched = False
        #: What kept the last program in, if one was run.
        self.sandbox: str | None = None

    @property
    def execution(self) -> ExecutionInfo:  # type: ignore[override]
        """The execution, as bot types see it."""
        claim = self._course.claim
        return ExecutionInfo(
            id=claim.id,
            bot=claim.bot_name,
            version=claim.version_number,
            attempt=claim.attempt,
            inputs=self._course.scope["inputs"],
            trigger=self._course.scope["trigger"],
            started_at=from_micros(claim.started_at),
            workspace=claim.workspace,
        )

    @property
    def seconds_left(self) -> float:  # type: ignore[override]
        """Until this try is stopped."""
        step_limit = self._course.step_limit(self.step.id)
        left = self._course.seconds_left()
        return min(step_limit or left, left)

    @property
    def deadline_at(self) -> datetime:  # type: ignore[override]
        """When this try is stopped."""
        return self._env.clock.now() + timedelta(seconds=self.seconds_left)

    @property
    def http(self) -> HttpClient:  # type: ignore[override]
        """The guarded client for the bot's hosts."""
        self._fetched = True
        return self._env.http(self._allow.hosts)

    @property
    def collections(self) -> Collections:  # type: ignore[override]
        """The collections of the workspace, within what the bot may read and ask."""
        if self._env.collections is None:
            raise StepFault("there are no collections here")
        self._fetched = True
        caller = CollectionCaller(
            self._model_caller, tuple(file_grants(self._allow.files)), self._allow.hosts, self.log
        )
        return CollectionsOf(self._env.collections, caller)

    @property
    def mcp(self) -> McpServers:  # type: ignore[override]
        """The MCP servers that the bot may use."""
        if self._env.mcp is None:
            raise StepFault("there are no MCP servers here")
        self._fetched = True
        return McpServersOf(self._env.mcp, _mcp_caller(self._course, self._allow.mcp))

    @property
    def state(self) -> Mapping[str, JSON]:  # type: ignore[override]
        """The bot's state."""
        self._fetched = True
        return self._course.claim.state

    async def run_program(self, program: Program) -> ProgramResult:
        """Run code in a process of its own, within the bot's limits."""
        plan = self._course.plan
        bounded = replace(
            granted(program, self._allow),
            timeout_seconds=min(program.timeout_seconds, max(self.seconds_left, 0.1)),
            owner=self._course.claim.bot_name,
            origin=plan.origin,
        )
        begun = False

        def begin(sandbox: str = "") -> None:
            nonlocal begun
            self.sandbox = sandbox or self.sandbox
            if not begun:
                begun = True
                self._timer.resume()

        # How long others keep it waiting is nothing the step can help.
        self._timer.pause()
        try:
            self._fetched |= bool(bounded.hosts or bounded.files)
            host = StepHost(self, self._call)
            result = await self._env.programs.run(
                bounded, ProgramHost(self._take_line, begin, host.tell, host.ask)
            )
        finally:
            begin()
        self.sandbox = result.sandbox or None
        return replace(result, state=host.state)

    def _take_line(self, stream: str, line: str) -> None:
        self.log(line, level=_STREAM_LEVELS.get(stream, "info"))

    async def complete(
        self,
        request: CompletionRequest,
        *,
        fallback: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Ask a model that the bot may use; no secret is told to it."""
        masker = self._course.book.masker
        if not masker.idle:
            messages = [replace(m, text=masker.mask(m.text)) for m in request.messages]
            request = replace(request, messages=messages)
        return await self._models.complete(
            self._model_caller, request, fallback=fallback, on_text=on_text
        )

    async def embed(
        self, texts: Sequence[str], *, embedder: str, purpose: EmbeddingPurpose = "document"
    ) -> Sequence[Vector]:
        """Turn texts into vectors, with an embedder that the bot may use."""
        return await self._models.embed(
            self._model_caller, texts, embedder=embedder, purpose=purpose
        )

    @property
    def _models(self) -> ModelGateway:
        if self._env.models is None:
            raise StepFault("no models can be called here")
        return self._env.models

    @property
    def _model_caller(self) -> ModelCaller:
        return _model_caller(self._course, self.step, self.deadline_at, self._asked)

    async def unseen(self, keys: Sequence[str], *, keep_seconds: float | None) -> Sequence[bool]:
        """Which keys this step sees for the first time."""
        question = _question(self._course, self.step.id, self._item, keys, keep_seconds)
        return await self._env.door.write(lambda: seen.first_time(question))

    async def gather(self, items: Sequence[JSON], *, key: str, due_at: datetime) -> Gathered:
        """Bring items, or be handed what was gathered."""
        brought = self._course.book.masker.mask_value(list(items))
        if len(dumps(brought)) > _MOST_GATHERED:
            raise StepFault(f"at most {_MOST_GATHERED} characters can be gathered", code="gather")
        step, item = self.step.id, self._item
        share = _share(self._course, step, item, brought, key, to_micros(due_at))
        now = self._env.clock.micros()
        due, handed = await self._env.door.write(lambda: gathered.bring(share, now))
        return Gathered(from_micros(due), handed)

    async def notify(self, notifier: str, notification: Notification, target: str) -> Receipt:
        """Send a notification through an installed notifier."""
        return await telling.send(
            self._course,
            self.step,
            self._env.components.notifier(notifier),
            notification,
            target,
            http=self.http,
            timeout_seconds=self.seconds_left,
        )

    async def execute(
        self, bot: str, inputs: Mapping[str, JSON], *, version: int | None = None
    ) -> ExecutionRef:
        """Start another bot, or look at the execution that was started before."""
        return await self._others.execute(bot, inputs, self._way, version)

    async def _call(self, bot: str, inputs: Mapping[str, JSON]) -> ExecutionRef:
        return await self._others.call(bot, inputs, self._way)

    async def describe(self, bot: str, *, version: int | None = None) -> BotCard:
        """What another bot is for and takes."""
        return await self._others.describe(bot, version)

    @cached_property
    def _parts(self) -> Parts:
        return self._make_parts()

    @property
    def _way(self) -> Way:
        """How strangers reached what the step has read so far."""
        own = ("what the step fetched",) if self._fetched else ()
        return self._parts.way or own

    async def recorded(self, name: str, make: Callable[[], Awaitable[JSON]]) -> JSON:
        """What was made before under this place, else what is made now."""
        return await self._parts.recorded(name, make)

    async def tools(self) -> Sequence[Tool]:
        """The tools of the step; what offers them was looked at by whoever wrote the bot."""
        fetched = self._fetched
        tools = await self._parts.tools(self)
        self._fetched = fetched
        return tools

    async def use(self, tool: str, arguments: Mapping[str, JSON]) -> ToolResult | Waiting:
        """Do what a model asks for, unless that was done before."""
        self._parts.way = self._way
        return await self._parts.use(tool, arguments)

    async def secret(self, name: str) -> str:
        """A secret that the bot may use."""
        return await self._course.secret(name)

    async def connection(self, name: str) -> Connection:
        """A connection that the bot may use."""
        return await self._course.connection(name)

    async def address(self, connection: Connection, port: int) -> str:
        """An address of a connection's host that may be connected to."""
        self._fetched = True
        return await self._env.address(connection.host, connection.port or port)

    def evaluate(self, expression: str, **variables: JSON) -> JSON:
        """A bare expression over ``variables`` alone."""
        return evaluate(expression, variables)

    def log(self, message: str, *, level: str = "info", **fields: JSON) -> None:
        """Add a log line to the step."""
        self._course.book.log(self.step.id, self._item, level, message, fields)

    @property
    def _item(self) -> int:
        return NO_ITEM if self.step.item is None else self.step.item


def _model_caller(
    course: Course, step: StepInfo, deadline_at: datetime, asked: dict[str, set[int]]
) -> ModelCaller:
    claim, allow = course.claim, course.plan.bot.allow
    return ModelCaller(
        workspace=claim.workspace,
        deadline_at=deadline_at,
        bot_id=claim.bot_id,
        bot=claim.bot_name,
        execution_id=claim.id,
        answers_of=course.lineage.answers,
        step=step.id,
        item=step.item,
        models=allow.models,
        spend_usd=allow.spend_usd,
        payers=course.payers,
        asked=asked,
    )


def _mcp_caller(course: Course, servers: Sequence[str]) -> McpCaller:
    claim, confide = course.claim, course.book.masker.add
    return McpCaller(claim.workspace, course.entrusted, servers, claim.id, confide)


def _share(
    course: Course, step: str, item: int, items: Sequence[JSON], key: str, due_at: int
) -> gathered.Share:
    claim = course.claim
    return gathered.Share(
        # A retry is handed what the execution was handed that it repeats.
        owner=course.lineage.origin,
        step=step,
        item=item,
        execution_id=claim.id,
        workspace=claim.workspace,
        key=f"key:{key}" if key else f"step:{claim.bot_name}.{step}",
        items=items,
        due_at=due_at,
    )


def _question(
    course: Course, step: str, item: int, keys: Sequence[str], keep_seconds: float | None
) -> seen.Question:
    now = course.env.clock.micros()
    digests = [hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest() for key in keys]
    return seen.Question(
        bot_id=course.claim.bot_id,
        step=step,
        # A retry is given the items that were new to the execution it repeats.
        owner=f"{course.lineage.origin}:{item}",
        digests=digests,
        now=now,
        expires_at=None if keep_seconds is None else now + int(keep_seconds * 1e6),
    )
