"""What plugins and callers see of executions: plain, immutable values made from rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from codex32.kernel.json_values import JSON


@dataclass(frozen=True, slots=True)
class ExecutionInfo:
    """What a step may know of the execution it belongs to."""

    id: str
    bot: str
    version: int
    attempt: int
    inputs: Mapping[str, JSON]
    trigger: Mapping[str, JSON]
    started_at: datetime
    workspace: str = "default"


@dataclass(frozen=True, slots=True)
class StepInfo:
    """Which step, which item of ``foreach`` and which try is being made.

    Attributes:
      item: Index in ``foreach``, or None.
      number: The try, counted from 1.
      idempotency_key: The same text for every try of this step and item, in this execution.
    """

    id: str
    type: str
    number: int
    idempotency_key: str
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Waited:
    """What a step that waited is told when it is called again.

    Attributes:
      note: What the step left in ``Waiting.note``.
      answer: What was answered to its token; None after a mere lapse of time. To an approval:
        ``{"approved", "by", "at", "form", "note"}``, ``at`` in ISO 8601, ``form`` complete.
      timed_out: ``until`` came before an answer did.
    """

    note: JSON = None
    answer: JSON = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """Where what a step brought to be handed out together stands.

    Attributes:
      due_at: When it is handed out (aware UTC).
      items: All that this step is handed, in the order in which it was brought; empty where
        another was handed it, None before ``due_at``.
    """

    due_at: datetime
    items: Sequence[JSON] | None = None


@dataclass(frozen=True, slots=True)
class ExecutionRef:
    """Another execution, and how it ended, if it has.

    Attributes:
      status: A status of BOT-FORMAT; final once ``ended`` is true.
      error: ``{"message", "code"}`` where it failed.
    """

    id: str
    bot: str
    status: str
    ended: bool = False
    output: JSON = None
    error: JSON = None


@dataclass(frozen=True, slots=True)
class BotCard:
    """What a bot is for and takes, at one version.

    Attributes:
      inputs: Name to JSON Schema of the value, ``default`` included.
    """

    name: str
    version: int
    description: str
    inputs: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Connection:
    """A destination that a step may reach, with its secrets.

    Attributes:
      type: What kind of service is there: ``http``, ``postgresql``, ``smtp`` …
      host: A name or an address.
      port: None for the usual one of the type.
      options: What else the type needs, such as ``database`` and ``user``.
      secrets: Values by what they are (``password``); they are masked wherever they are written.
    """

    name: str
    type: str
    host: str
    port: int | None = None
    options: Mapping[str, JSON] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One happening that a trigger answered.

    Attributes:
      key: Unique within its trigger, so that the happening is answered once.
      at: When it was meant to happen.
    """

    key: str
    at: datetime
    data: Mapping[str, JSON] = field(default_factory=dict)
