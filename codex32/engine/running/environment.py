"""What the engine is handed by whoever puts the parts together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from codex32.engine.running.deadlines import Deadlines
from codex32.engine.running.plan import Plan
from codex32.kernel.bot import Rate
from codex32.kernel.clock import Clock, SystemClock
from codex32.kernel.components import Components
from codex32.kernel.contracts.collections import CollectionKeeper
from codex32.kernel.contracts.gateway import ModelGateway, Payer
from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.mcp import McpKeeper
from codex32.kernel.contracts.notifier import Notification, Notifier, Receipt, SendCall
from codex32.kernel.contracts.program import ProgramRunner
from codex32.kernel.database import Door
from codex32.kernel.errors import BotNotFound, StepFault
from codex32.kernel.hookspecs import RetryDecision, StepCall
from codex32.kernel.json_values import JSON
from codex32.kernel.outcomes import Failed
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.tracing import Place
from codex32.kernel.views import BotCard, ExecutionRef, StepInfo


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """An execution that a step asks for, once for this key; both are of one workspace.

    Attributes:
      version: The number of another version than the live one.
      foreign: How strangers reached what the step has read; empty where they did not.
      payers: Those against whose limits counts what it spends, too.
    """

    workspace: str
    parent_id: str
    depth: int
    key: str
    bot: str
    inputs: JSON
    version: int | None = None
    foreign: Sequence[str] = ()
    payers: Sequence[Payer] = ()


@dataclass(frozen=True, slots=True)
class Destination:
    """A connection as it is kept: ``secrets`` are names, by what they are."""

    type: str
    host: str
    port: int | None
    options: Mapping[str, JSON]
    secrets: Mapping[str, str]


async def _no_connection(workspace: str, name: str) -> Destination | None:
    return None


def _send(
    notifier: Notifier,
    notification: Notification,
    target: str,
    *,
    http: HttpClient,
    timeout_seconds: float,
) -> Awaitable[Receipt]:
    return notifier.send(notification, target, http=http, timeout_seconds=timeout_seconds)


async def _no_address(host: str, port: int) -> str:
    raise StepFault("nothing can be connected to here")


async def _no_card(workspace: str, name: str, version: int | None) -> BotCard:
    raise BotNotFound(name, ())


@dataclass(frozen=True, slots=True)
class Environment:
    """The parts an attempt works with.

    Attributes:
      plan: The compiled definition of a version id; quick when it was asked before.
      call: How a try of a step is made; plugins stand around it.
      http: The guarded client for a bot's ``allow.hosts``.
      secret: The value of a workspace's secret, by both names, or None where no store that the
        workspace may read knows it.
      connection: A workspace's connection, by both names, or None.
      address: An address of a host and port that the operator lets bots connect to.
      start_child: Starts or finds the execution that a step asked for.
      bot_card: What a workspace's bot is for and takes, at its live version or another.
      models: Calls models and embedders; None where nothing may be called.
      collections: Keeps documents to be searched; None where there are none.
      mcp: Reaches MCP servers; None where there are none.
      notifier_rate: How often a notifier, by its name, is used for one target.
      public_url: Where people reach the API, without a slash at the end; None where nobody knows.
      decide_retry: What plugins say of a failed try, or None.
      send: How a notifier sends; what counts it stands around.
      trace: Where an attempt stands in a trace, by its execution's id, the context in the row and
        its number; None where nothing is traced.
      close: Lets go of connections, once no attempt runs any more.
      deadlines: Time limits and the like, of the event loop on which attempts run.
      keeping: Whether some may have to be written, with what they tell of.
    """

    door: Door
    components: Components
    payloads: PayloadStore
    plan: Callable[[str], Awaitable[Plan]]
    call: StepCall
    http: Callable[[Sequence[str]], HttpClient]
    programs: ProgramRunner
    secret: Callable[[str, str], Awaitable[str | None]]
    start_child: Callable[[ChildRequest], Awaitable[ExecutionRef]]
    bot_card: Callable[[str, str, int | None], Awaitable[BotCard]] = _no_card
    connection: Callable[[str, str], Awaitable[Destination | None]] = _no_connection
    address: Callable[[str, int], Awaitable[str]] = _no_address
    models: ModelGateway | None = None
    collections: CollectionKeeper | None = None
    mcp: McpKeeper | None = None
    notifier_rate: Callable[[str], Rate | None] = lambda name: None
    public_url: str | None = None
    decide_retry: Callable[[str, StepInfo, Failed], RetryDecision | None] | None = None
    keeping: Callable[[], bool] = lambda: False
    send: SendCall = _send
    trace: Callable[[str, str | None, int], Place | None] = lambda execution, asked, number: None
    close: Callable[[], Awaitable[None]] | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)
    clock: Clock = field(default_factory=lambda: SystemClock.shared)
