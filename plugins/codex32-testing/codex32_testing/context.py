"""A step's context in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from codex32 import (
    JSON,
    BotCard,
    BotNotFound,
    CapabilityRefused,
    Completion,
    CompletionRequest,
    Connection,
    EmbeddingPurpose,
    ExecutionInfo,
    ExecutionRef,
    Gathered,
    Notification,
    Program,
    ProgramResult,
    Receipt,
    StepContext,
    StepInfo,
    Tool,
    ToolRefused,
    ToolResult,
    Vector,
    Waited,
    Waiting,
)
from codex32_testing.collections import FakeCollections
from codex32_testing.http import FakeHttp
from codex32_testing.mcp import FakeMcpServers

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_EXECUTION = ExecutionInfo("exe_test", "test", 1, 1, inputs={}, trigger={}, started_at=_NOON)
_STEP = StepInfo("main", "test", 1, idempotency_key="exe_test/main")


@dataclass
class FakeStepContext(StepContext):
    """What a step may do, without an engine: asked for by tests, filled in by tests.

    Attributes:
      secrets: What :meth:`secret` knows; another name is refused as not allowed.
      connections: What :meth:`connection` knows; another name is refused as not allowed.
      collections: What they are asked is kept in them; what they answer is laid down in them.
      mcp: What their tools are asked is kept in them; what they answer is laid down in them.
      bots: Name to how an execution of that bot stands when it is asked for.
      cards: Name to what :meth:`describe` tells of that bot.
      toolbox: Name of a tool to what :meth:`use` answers for it.
      run_code: What answers :meth:`run_program`.
      expressions: What answers :meth:`evaluate`, as ``(expression, variables) -> value``.
      answer: What answers :meth:`complete`.
      vector: What :meth:`embed` makes of each text.
      asked: Every request of a model.
      sent: Every notification, as ``(notifier, notification, target)``.
      gathered: What answers :meth:`gather`.
      brought: Everything that was brought to be gathered, as ``(key, items, due_at)``.
      executed: Every execution that was started, as ``(bot, inputs)``.
      logs: Every log line, as ``(level, message, fields)``.
    """

    http: FakeHttp = field(default_factory=FakeHttp)
    state: Mapping[str, JSON] = field(default_factory=dict)
    waited: Waited | None = None
    deadline_at: datetime = _NOON + timedelta(hours=1)
    seconds_left: float = 3600.0
    execution: ExecutionInfo = _EXECUTION
    step: StepInfo = _STEP
    secrets: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, Connection] = field(default_factory=dict)
    bots: Mapping[str, ExecutionRef] = field(default_factory=dict)
    cards: Mapping[str, BotCard] = field(default_factory=dict)
    toolbox: Mapping[str, Callable[[Mapping[str, JSON]], ToolResult | Waiting]] = field(
        default_factory=dict
    )
    collections: FakeCollections = field(default_factory=FakeCollections)
    mcp: FakeMcpServers = field(default_factory=FakeMcpServers)
    run_code: Callable[[Program], ProgramResult] | None = None
    expressions: Callable[[str, Mapping[str, JSON]], JSON] | None = None
    answer: Callable[[CompletionRequest], Completion] | None = None
    vector: Callable[[str], Vector] | None = None
    asked: list[CompletionRequest] = field(default_factory=list)
    sent: list[tuple[str, Notification, str]] = field(default_factory=list)
    gathered: Gathered | None = None
    brought: list[tuple[str, Sequence[JSON], datetime]] = field(default_factory=list)
    executed: list[tuple[str, Mapping[str, JSON]]] = field(default_factory=list)
    logs: list[tuple[str, str, Mapping[str, JSON]]] = field(default_factory=list)
    _seen: dict[str, tuple[str, str, int | None]] = field(default_factory=dict, init=False)

    async def run_program(self, program: Program) -> ProgramResult:
        """What ``run_code`` answers."""
        assert self.run_code, "this step runs code: hand in FakeStepContext(run_code=...)"
        return self.run_code(program)

    async def complete(
        self,
        request: CompletionRequest,
        *,
        fallback: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """What ``answer`` says."""
        assert self.answer, "this step asks a model: hand in FakeStepContext(answer=...)"
        self.asked.append(request)
        completion = self.answer(request)
        if on_text and completion.text:
            on_text(completion.text)
        return completion

    async def embed(
        self, texts: Sequence[str], *, embedder: str, purpose: EmbeddingPurpose = "document"
    ) -> Sequence[Vector]:
        """What ``vector`` makes of each text."""
        assert self.vector, "this step embeds: hand in FakeStepContext(vector=...)"
        return [self.vector(text) for text in texts]

    async def unseen(self, keys: Sequence[str], *, keep_seconds: float | None) -> Sequence[bool]:
        """Remember keys for ever; the same step and item is told the same again."""
        asker = (self.execution.id, self.step.id, self.step.item)
        asked: set[str] = set()
        answers = []
        for key in keys:
            answers.append(key not in asked and self._seen.setdefault(key, asker) == asker)
            asked.add(key)
        return answers

    async def gather(self, items: Sequence[JSON], *, key: str, due_at: datetime) -> Gathered:
        """As ``gathered`` says; without it everything is due at once, and nobody else is there."""
        self.brought.append((key, items, due_at))
        return self.gathered or Gathered(due_at, items)

    async def notify(self, notifier: str, notification: Notification, target: str) -> Receipt:
        """Keep the notification in ``sent``."""
        self.sent.append((notifier, notification, target))
        return Receipt(f"receipt-{len(self.sent)}")

    async def execute(
        self, bot: str, inputs: Mapping[str, JSON], *, version: int | None = None
    ) -> ExecutionRef:
        """How ``bots`` says that bot's execution stands; started once, however often asked."""
        if bot not in self.bots:
            raise BotNotFound(bot, self.bots)
        if (bot, inputs) not in self.executed:
            self.executed.append((bot, inputs))
        return self.bots[bot]

    async def describe(self, bot: str, *, version: int | None = None) -> BotCard:
        """What ``cards`` holds."""
        if bot not in self.cards:
            raise BotNotFound(bot, self.cards)
        return self.cards[bot]

    async def recorded(self, name: str, make: Callable[[], Awaitable[JSON]]) -> JSON:
        """What is made, each time: there is nothing to go on from."""
        return await make()

    async def tools(self) -> Sequence[Tool]:
        """The names of ``toolbox``, each with a schema that takes anything."""
        return [Tool(name, "", {"type": "object"}) for name in self.toolbox]

    async def use(self, tool: str, arguments: Mapping[str, JSON]) -> ToolResult | Waiting:
        """What ``toolbox`` answers."""
        if tool not in self.toolbox:
            raise ToolRefused(f"there is no tool {tool!r}")
        return self.toolbox[tool](arguments)

    async def secret(self, name: str) -> str:
        """What ``secrets`` holds."""
        if name not in self.secrets:
            raise CapabilityRefused("secrets", name)
        return self.secrets[name]

    async def connection(self, name: str) -> Connection:
        """What ``connections`` holds."""
        if name not in self.connections:
            raise CapabilityRefused("connections", name)
        return self.connections[name]

    async def address(self, connection: Connection, port: int) -> str:
        """The connection's host as it is, which has to be an address."""
        return connection.host

    def evaluate(self, expression: str, **variables: JSON) -> JSON:
        """What ``expressions`` answers."""
        assert self.expressions, (
            "this step evaluates: hand in FakeStepContext(expressions=lambda text, variables: ...)"
        )
        return self.expressions(expression, variables)

    def log(self, message: str, *, level: str = "info", **fields: JSON) -> None:
        """Keep the line in ``logs``."""
        self.logs.append((level, message, fields))
