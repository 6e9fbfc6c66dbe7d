"""A bot as the house holds it once its file has been read: immutable, checked, without positions.

``codex32.engine.reading.definition`` makes these from YAML; the contract is in
docs/reference/bot-file.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from codex32.kernel.json_values import JSON

Overlap = Literal["allow", "skip", "queue"]
OnMissed = Literal["skip", "last", "all"]
WhenFull = Literal["queue", "skip", "cancel_oldest"]
#: The bot that carries notices of alerts, in every workspace; no other may have its name.
ALERT_NOTICES: Final = "alert-notices"


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step is tried, and how long is waited in between (seconds)."""

    attempts: int = 1
    first_seconds: float = 1.0
    factor: float = 2.0
    max_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many executions of a bot may run at once, and what happens to the rest."""

    limit: int
    key: str | None = None
    when_full: WhenFull = "queue"
    max_queued: int | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``limit`` starts in ``per_seconds``, shared by all workers."""

    limit: int
    per_seconds: float
    key: str | None = None


#: The keys of ``allow`` that hold lists of what is permitted, in the order of the reference.
ALLOWED_LISTS: Final = (
    *("hosts", "secrets", "models", "tools", "bots", "files", "packages", "connections", "mcp"),
)


@dataclass(frozen=True, slots=True)
class Allow:
    """The capability manifest: what is not named is refused."""

    hosts: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    bots: tuple[str, ...] = ()
    files: tuple[JSON, ...] = ()
    packages: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()
    mcp: tuple[str, ...] = ()
    spend_usd: Mapping[str, float] = field(default_factory=dict)
    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    processes: int | None = None
    disk_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """One rule that turns a happening into an execution.

    Attributes:
      kind: The trigger type's name, such as ``cron``.
      config: What stands under the kind's key in the file: a text or a mapping.
      timezone: IANA name in which times of day are meant.
      overlap: None where the file says nothing: times are then skipped, events and files are not.
      condition: CEL over ``trigger``; the occurrence is passed over where it is false.
      dedupe: Text with expressions; occurrences of the same text are answered once.
      inputs: Inputs of the execution, with expressions over ``trigger``.
    """

    kind: str
    config: JSON
    timezone: str = "UTC"
    on_missed: OnMissed = "skip"
    overlap: Overlap | None = None
    dedupe: str | None = None
    condition: str | None = None
    inputs: Mapping[str, JSON] = field(default_factory=dict)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One unit of a bot's work.

    Attributes:
      type: The bot type's name.
      params: What stands under ``with``, expressions not yet evaluated.
      needs: Ids of the steps that must be done before; already resolved from the order of the
        file, so it is never None.
      needs_written: Whether the file says ``needs``. Only then a skipped need skips this step.
      condition: CEL, bare, without ``${{ }}``; None where the file has no ``if``.
      foreach: A value with one expression that yields a list, or a list; None for a single run.
      timeout_seconds: Limit of one try; None where only the bot's limit holds.
    """

    id: str
    type: str
    params: Mapping[str, JSON] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    needs_written: bool = False
    condition: str | None = None
    foreach: JSON = None
    parallel: int = 1
    on_item_error: Literal["fail", "collect"] = "fail"
    retry: Retry | None = None
    timeout_seconds: float | None = None
    on_error: Literal["fail", "continue"] = "fail"
    rate: Rate | None = None
    repeat: Literal["safe"] | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who is told, too, when an alert has fired so long and nobody looks after it."""

    after_seconds: float
    notify: Sequence[Mapping[str, JSON]]


@dataclass(frozen=True, slots=True)
class Alert:
    """What somebody is told of when it goes wrong, and when it is well again.

    Attributes:
      kind: ``failure_rate no_success_for late_by queued_for event no_event``.
      limit: A share from 0 to 1, a number of seconds, or the name of an event.
      over_seconds: The time that is looked back on, where the kind counts.
      at_least: Fewer executions, or events, say nothing.
      for_seconds: It must be wrong for so long before the alert fires.
      keep_seconds: It must be well for so long before it no longer does.
      notify: ``to target secret`` of each notice.
      bots: Names, or patterns with ``*``, of the bots that are looked at; its own where empty.
    """

    name: str
    kind: str
    limit: float | str
    over_seconds: float
    at_least: int
    for_seconds: float = 0.0
    keep_seconds: float = 0.0
    notify: Sequence[Mapping[str, JSON]] = ()
    escalate: Escalation | None = None
    bots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bot:
    """A named definition: triggers, steps, limits, powers.

    Attributes:
      steps: None of them where it holds alerts alone, and is never executed.
      inputs: Name to JSON Schema of the value, ``default`` included.
      timeout_seconds: Limit of the time an execution is running; waiting does not count.
      document: The definition as it was written, as plain JSON data; what versions store.
    """

    name: str
    steps: tuple[Step, ...]
    document: Mapping[str, JSON]
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True
    triggers: tuple[Trigger, ...] = ()
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    allow: Allow = field(default_factory=Allow)
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    priority: int = 0
    timeout_seconds: float = 3600.0
    retry: Retry | None = None
    on_failure: tuple[Step, ...] = ()
    finally_: tuple[Step, ...] = ()
    output: JSON = None
    tests: Sequence[JSON] = ()
    evals: Sequence[JSON] = ()
    alerts: tuple[Alert, ...] = ()
    retention: JSON = None
