"""What a worker holds of an execution, and what it has to record of it: values, no statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from codex32.engine.records.awaiting import Subscription
from codex32.kernel.caller import DEFAULT_WORKSPACE
from codex32.kernel.events import Event
from codex32.kernel.json_values import JSON


@dataclass(slots=True)
class Claim:
    """An execution that this worker may now run, until its lease ends. Times in microseconds."""

    id: str
    bot_id: str
    bot_name: str
    version_id: str
    version_number: int
    inputs: str
    trigger: str
    attempt: int
    active_micros: int
    started_at: int
    attempt_at: int
    parent_id: str | None
    depth: int
    gate: str | None
    closing: str | None
    cancel_at: int | None
    priority: int
    worker: str
    rate_at: int | None = None
    lineage: str | None = None
    workspace: str = DEFAULT_WORKSPACE
    traceparent: str | None = None
    state: dict[str, JSON] = field(default_factory=dict)


class StepRecord(NamedTuple):
    """A step, or an item of it, as it shall stand in its row. Texts are packed JSON."""

    step: str
    item: int
    status: str
    tries: int
    input: str | None
    output: str | None
    error: str | None
    effect: str
    note: str | None
    started_at: int | None
    finished_at: int | None
    sandbox: str | None = None


class LogLine(NamedTuple):
    """A log line of an execution; ``fields`` is packed JSON."""

    step: str
    item: int
    at: int
    level: str
    message: str
    fields: str | None = None


@dataclass(slots=True)
class End:
    """How an attempt ended, and where the execution stands after it.

    Attributes:
      status: A final status, ``waiting``, or ``queued`` where the worker gives it back.
      ready_at: For ``waiting``: when to go on, or None until something wakes it.
      children: For ``waiting``: the tokens that steps wait for; of a child, its id.
      awaiting: For ``waiting``: the steps and items that wait for events.
      spent: Microseconds that the attempt took, by what no change of a clock moves.
    """

    status: str
    at: int
    outcome: str
    cause: str | None = None
    message: str = ""
    output: str | None = None
    ready_at: int | None = None
    children: Sequence[str] = ()
    awaiting: Collection[tuple[str, int]] = ()
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval that shall be. Times in microseconds; ``request`` is packed JSON."""

    id: str
    step: str
    item: int
    request: str
    created_at: int
    expires_at: int | None


@dataclass(slots=True)
class Advance:
    """What one execution has to record now, all of it or nothing.

    Attributes:
      types: The bot types of its steps and their parts, by step.
      bot_type: The one of its bot; empty where its version cannot be run.
      events: What it tells beside the ends of steps, attempts and executions.
      rate_at: Its slot of its bot's rate limit, which it waits for.
      asks: What its steps ask people from now on.
      asked: It has asked people before: what of that is still open ends with the steps that
        end here, or with the execution.
      awaits: Where it begins to wait: the ids of the approvals it waits for.
      stopped: Steps and items that are stopped at ``stopped_at``, with what they had started.
      stopped_at: Also for ``closing``: when the steps before the closing ones were stopped.
    """

    claim: Claim
    steps: Sequence[StepRecord] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    bot_type: str = ""
    logs: Sequence[LogLine] = ()
    state: Mapping[str, str | None] = field(default_factory=dict)
    closing: str | None = None
    rate_at: int | None = None
    end: End | None = None
    events: Sequence[Event] = ()
    asks: Sequence[Asked] = ()
    asked: bool = False
    awaits: Sequence[str] = ()
    subscriptions: Sequence[Subscription] = ()
    stopped: Collection[tuple[str, int]] = ()
    stopped_at: int = 0
