"""What happened inside the house, told to plugins after the commit. A new event is a new class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from codex32.kernel.json_values import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, when (aware UTC), and in which workspace.

    What concerns the whole installation happens in none: ``workspace`` is empty.
    """

    at: datetime
    workspace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionEvent(Event):
    """Something that happened to an execution.

    ``traceparent`` is the W3C trace context of what asked for it, if that was within a trace.
    """

    execution_id: str
    bot: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionQueued(ExecutionEvent):
    """An execution was asked for and will run."""

    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(ExecutionEvent):
    """A worker began (or went on with) an execution."""

    attempt: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFinished(ExecutionEvent):
    """A worker's attempt ended: ``succeeded failed cancelled skipped waiting lost``."""

    attempt: int
    outcome: str
    duration_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(ExecutionEvent):
    """A step of a bot type was recorded with a final status."""

    step: str
    type: str
    item: int | None
    status: str
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(ExecutionEvent):
    """A step waits for a person; secrets in ``text`` and ``to`` are masked."""

    approval_id: str
    step: str
    item: int | None
    text: str
    to: tuple[str, ...]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecided(ExecutionEvent):
    """An approval is settled: ``approved rejected expired cancelled``; the last two by nobody."""

    approval_id: str
    step: str
    item: int | None
    decision: str
    by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFinished(ExecutionEvent):
    """An execution reached its final status.

    ``bot_type`` is the type of its bot's steps, or ``mixed``; empty where that is not known.
    """

    status: str
    cause: str | None
    message: str
    bot_type: str = ""
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BotChanged(Event):
    """A bot has a new version, or one that waits; it was paused, resumed, removed, rolled back."""

    bot: str
    change: str
    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotFailed(Event):
    """A bot's file has faults; the version that last worked stays."""

    bot: str
    source: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BotRecovered(Event):
    """A bot's file had faults and has none any more."""

    bot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFired(Event):
    """A trigger was evaluated: ``decision`` is ``fired`` or why it was not.

    ``chain`` names the bots whose doings led to it, where an event was answered.
    ``late_seconds`` tells how late a time was answered that fired.
    """

    bot: str
    trigger: str
    decision: str
    execution_id: str | None
    chain: tuple[str, ...] = ()
    late_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLost(Event):
    """A worker that held executions has not been heard of until the end of its leases."""

    worker: str
    executions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPublished(Event):
    """Somebody published an event ``custom.*``.

    Attributes:
      execution_id: The publisher, if a bot.
      by: The publisher, if not: ``kind id name address request``.
    """

    id: str
    name: str
    data: JSON
    execution_id: str | None
    by: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDisabled(Event):
    """An endpoint is told nothing any more: it is ``gone``, or has been ``failing`` for days."""

    endpoint: str
    url: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWarned(Event):
    """Of a budget 50 or 80 % are spent: ``budget`` says whose and when, such as ``2026-11``."""

    budget: str
    percent: int
    spent_usd: float
    limit_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExhausted(Event):
    """A budget is spent, or 80 % of it and what is left did not cover a call."""

    budget: str
    spent_usd: float
    limit_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChanged(Event):
    """An alert of a bot ``fired``, was ``resolved``, or ``escalated``: nobody looks after it."""

    bot: str
    alert: str
    change: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSent(Event):
    """A notifier took a notification."""

    notifier: str
    receipt: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaUpgraded(Event):
    """Migrations were applied."""

    source: str
    applied: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFailed(Event):
    """A plugin was left out."""

    plugin: str
    reason: str
