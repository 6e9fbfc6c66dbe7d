"""Where an execution and a step can stand, and which way each may go."""

from __future__ import annotations

from enum import StrEnum

from codex32.kernel.errors import InvalidTransition


class Status(StrEnum):
    """Where an execution stands. The last four are final and never change."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self in FINAL


class StepStatus(StrEnum):
    """Where a step of an execution stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether the step is over."""
        return self in FINAL_STEP


class Cause(StrEnum):
    """Why an execution failed."""

    ERROR = "error"
    TIMEOUT = "timeout"
    LOST = "lost"
    BUDGET = "budget"
    CAPABILITY = "capability"
    INVALID = "invalid"
    EFFECT = "effect"


FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.SKIPPED})
FINAL_STEP = frozenset(
    {StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED}
)

#: Which statuses may follow which. The database's conditional updates enforce the same.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset(
        {Status.RUNNING, Status.CANCELLED, Status.FAILED, Status.SKIPPED, Status.WAITING}
    ),
    Status.RUNNING: frozenset({Status.WAITING, Status.QUEUED, *FINAL}),
    Status.WAITING: frozenset({Status.RUNNING, Status.QUEUED, Status.CANCELLED, Status.FAILED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.SKIPPED: frozenset(),
}


def check_transition(subject: str, was: Status, wanted: Status) -> None:
    """Refuse what the table does not allow.

    Raises:
      InvalidTransition: ``wanted`` may not follow ``was``.
    """
    if wanted not in TRANSITIONS[was]:
        raise InvalidTransition(subject, was, wanted)
