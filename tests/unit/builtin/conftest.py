import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from codex32 import (
    JSON,
    Connection,
    ExecutionInfo,
    ExecutionRef,
    HttpClient,
    HttpRequest,
    HttpResponse,
    ManualClock,
    Notification,
    Program,
    ProgramResult,
    Receipt,
    StepContext,
    StepInfo,
    Waited,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class ScriptedHttp(HttpClient):
    """Answers in the order of its script; an exception in it is raised."""

    def __init__(self) -> None:
        self.script: list[HttpResponse | Exception] = []
        self.sent: list[HttpRequest] = []

    def answers(
        self, body: JSON = "", *, status: int = 200, url: str = "", **headers: str
    ) -> None:
        kind = "text/plain" if isinstance(body, str) else "application/json"
        data = body if isinstance(body, str) else json.dumps(body)
        named = {"content-type": kind} | {k.replace("_", "-"): v for k, v in headers.items()}
        self.script.append(HttpResponse(status, named, data.encode(), url))

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        url = answer.url or request.url
        return HttpResponse(answer.status, answer.headers, answer.body, url)


@dataclass
class MemoryContext(StepContext):
    """Keeps all that a step does, and answers from what a test has laid down."""

    execution: ExecutionInfo = field(
        default_factory=lambda: ExecutionInfo("exe_1", "digest", 1, 1, {}, {}, NOW)
    )
    step: StepInfo = field(default_factory=lambda: StepInfo("fetch", "http", 1, "key-1"))
    deadline_at: datetime = NOW + timedelta(hours=1)
    seconds_left: float = 3600.0
    http: ScriptedHttp = field(default_factory=ScriptedHttp)
    state: Mapping[str, JSON] = field(default_factory=dict)
    waited: Waited | None = None
    program_result: ProgramResult = field(default_factory=ProgramResult)
    child: ExecutionRef = field(
        default_factory=lambda: ExecutionRef("exe_2", "other", "queued", ended=False)
    )
    seen: set[str] = field(default_factory=set)
    evaluator: Callable[..., JSON] = lambda expression, **variables: None
    programs: list[Program] = field(default_factory=list)
    notified: list[tuple[str, Notification, str]] = field(default_factory=list)
    executed: list[tuple[str, Mapping[str, JSON]]] = field(default_factory=list)
    kept_seconds: list[float | None] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    async def connection(self, name: str) -> Connection:
        raise AssertionError("what speaks through a connection is tried on the real thing")

    async def address(self, connection: Connection, port: int) -> str:
        raise AssertionError("what speaks through a connection is tried on the real thing")

    async def run_program(self, program: Program) -> ProgramResult:
        self.programs.append(program)
        return self.program_result

    async def unseen(self, keys: Sequence[str], *, keep_seconds: float | None) -> Sequence[bool]:
        self.kept_seconds.append(keep_seconds)
        answers = []
        for key in keys:
            answers.append(key not in self.seen)
            self.seen.add(key)
        return answers

    async def notify(self, notifier: str, notification: Notification, target: str) -> Receipt:
        self.notified.append((notifier, notification, target))
        return Receipt("r-1")

    async def execute(
        self, bot: str, inputs: Mapping[str, JSON], *, version: int | None = None
    ) -> ExecutionRef:
        self.executed.append((bot, inputs))
        return self.child

    async def complete(self, request, *, fallback=(), on_text=None):
        raise AssertionError("what asks models is tried with the gateway")

    async def embed(self, texts, *, embedder, purpose="document"):
        raise AssertionError("what asks embedders is tried with the gateway")

    async def gather(self, items, *, key, due_at):
        raise AssertionError("gathering is tried with the engine")

    async def describe(self, bot: str, *, version: int | None = None):
        raise AssertionError("what asks for other bots is tried with the engine")

    async def recorded(self, name, make):
        raise AssertionError("parts are tried with the engine")

    async def tools(self):
        raise AssertionError("tools are tried with the engine")

    async def use(self, tool, arguments):
        raise AssertionError("tools are tried with the engine")

    async def secret(self, name: str) -> str:
        return f"secret of {name}"

    def evaluate(self, expression: str, **variables: JSON) -> JSON:
        return self.evaluator(expression, **variables)

    def log(self, message: str, *, level: str = "info", **fields: JSON) -> None:
        self.lines.append(message)


@pytest.fixture
def context() -> MemoryContext:
    return MemoryContext()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)
