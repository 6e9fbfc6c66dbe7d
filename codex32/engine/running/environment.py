"""What the engine is handed by whoever puts the parts together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from codex32.engine.running.deadlines import Deadlines
from codex32.engine.running.plan import Plan
from codex32.kernel.clock import Clock, SystemClock
from codex32.kernel.components import Components
from codex32.kernel.contracts.collections import CollectionKeeper
from codex32.kernel.contracts.gateway import ModelGateway
from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.program import ProgramRunner
from codex32.kernel.database import Door
from codex32.kernel.hookspecs import RetryDecision, StepCall
from codex32.kernel.json_values import JSON
from codex32.kernel.outcomes import Failed
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.views import ExecutionRef, StepInfo


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """An execution that a step asks for, once for this key; both are of one workspace."""

    workspace: str
    parent_id: str
    depth: int
    key: str
    bot: str
    inputs: JSON


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
      start_child: Starts or finds the execution that a step asked for.
      models: Calls models and embedders; None where nothing may be called.
      collections: Keeps documents to be searched; None where there are none.
      decide_retry: What plugins say of a failed try, or None.
      close: Lets go of connections, once no attempt runs any more.
      deadlines: Time limits and the like, of the event loop on which attempts run.
      listening: Whether anybody wants events; where nobody does, none are made.
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
    connection: Callable[[str, str], Awaitable[Destination | None]] = _no_connection
    models: ModelGateway | None = None
    collections: CollectionKeeper | None = None
    decide_retry: Callable[[str, StepInfo, Failed], RetryDecision | None] | None = None
    listening: Callable[[], bool] = lambda: False
    close: Callable[[], Awaitable[None]] | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)
    clock: Clock = field(default_factory=lambda: SystemClock.shared)
