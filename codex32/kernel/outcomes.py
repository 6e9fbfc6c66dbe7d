"""How one try of a step ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON
from codex32.kernel.statuses import Cause


class Effect(StrEnum):
    """What doing a step does to the world, and so whether it may be done again.

    Attributes:
      NONE: Nothing outside changes; repeat freely.
      IDEMPOTENT: The outside is changed, and doing it again changes nothing more.
      ONCE: The outside is changed each time; after a cut in between, whether it happened is
        unknown, and a person decides.
    """

    NONE = "none"
    IDEMPOTENT = "idempotent"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class Publication:
    """An event that a step publishes.

    Attributes:
      name: ``custom.`` and what the bot chose.
      data: JSON; secrets in it are masked.
      id: Of the event to be.
    """

    name: str
    data: JSON = None
    id: str = field(default_factory=lambda: new_id("evt"))


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The step is done.

    Attributes:
      output: JSON that later steps see as ``steps.<id>.output``.
      state: Entries written into the bot's state, atomically with the step; None removes one.
      events: Published atomically with the step: never twice, and never missing after a crash.
    """

    output: JSON = None
    state: Mapping[str, JSON] = field(default_factory=dict)
    events: Sequence[Publication] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The try did not succeed.

    Attributes:
      message: One sentence for people.
      retryable: Whether trying again can help.
      retry_after_seconds: What the other side asked for, if it did.
      unknown: An effect was begun and whether it happened cannot be told.
      code: Stable word for programs.
      cause: What the execution's cause becomes if this fault ends it.
      detail: More, as JSON: a traceback, a response.
    """

    message: str
    retryable: bool = False
    retry_after_seconds: float | None = None
    unknown: bool = False
    code: str = "step-failed"
    cause: Cause = Cause.ERROR
    detail: JSON = None


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What a person shall decide before the step goes on.

    Attributes:
      text: What is asked, for people. Secrets in it are masked where it is kept.
      to: Who is asked: names or addresses, for whatever tells people. It gives nobody a right.
      form: What is to be filled in: name to JSON Schema of the value, as ``inputs`` of a bot. A
        field without a ``default`` has to be given by whoever approves.
      on_expire: What the step will do where nobody decides in time; told to people.
    """

    text: str
    to: Sequence[str] = ()
    form: Mapping[str, JSON] = field(default_factory=dict)
    on_expire: Literal["reject", "approve", "fail"] = "reject"


@dataclass(frozen=True, slots=True)
class EventAwaited:
    """Which events a step waits for.

    Attributes:
      pattern: A name, or a pattern of names: ``execution.*``.
      condition: Bare CEL over ``event`` (``id name at data``) and ``values``; None for any.
      values: What ``condition`` sees as ``values``.
    """

    pattern: str
    condition: str | None = None
    values: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to do until something happens; no worker is held meanwhile.

    The bot type is called again afterwards, with ``context.waited`` set.

    Attributes:
      until: When to go on; None where only ``token``, ``approval`` or ``event`` wakes the step.
        With an ``approval``: until when it can be decided.
      token: Name of what is waited for; for a child execution, its id.
      note: JSON handed back in ``context.waited``.
      approval: Ask people, in the same transaction in which the step begins to wait. The bot
        type is called again once it is decided or its time is over, and not before.
      event: The first such event wakes the step; it is ``context.waited.answer``.
    """

    until: datetime | None = None
    token: str | None = None
    note: JSON = None
    approval: ApprovalRequest | None = None
    event: EventAwaited | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """The step decided that there was nothing to do."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The execution ends here, with this status."""

    status: Literal["succeeded", "failed", "skipped"] = "succeeded"
    message: str = ""
    output: JSON = None


Outcome: TypeAlias = Succeeded | Failed | Waiting | Skipped | Ended
