"""What the engine tells of what it wrote; events are made of it only for those who want them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codex32.engine.records.advance import Advance, Claim, StepRecord
from codex32.kernel.clock import from_micros
from codex32.kernel.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    ExecutionFinished,
    StepFinished,
)
from codex32.kernel.notices import Happenings
from codex32.kernel.statuses import FINAL, FINAL_STEP


@dataclass(frozen=True, slots=True)
class Begun(Happenings):
    """Attempts have begun."""

    claims: Sequence[Claim]

    def events(self) -> Iterator[Event]:
        """One a claim."""
        for claim in self.claims:
            yield AttemptStarted(
                at=from_micros(claim.attempt_at),
                workspace=claim.workspace,
                execution_id=claim.id,
                bot=claim.bot_name,
                traceparent=claim.traceparent,
                attempt=claim.attempt,
                worker=claim.worker,
            )


@dataclass(frozen=True, slots=True)
class Recorded(Happenings):
    """Steps, attempts and executions have ended."""

    items: Sequence[Advance]

    def events(self) -> Iterator[Event]:
        """Of each execution its steps, then its attempt, then its end."""
        for item in self.items:
            for record in item.steps:
                if has_ended(item, record):
                    yield _step(item, record)
            if item.end is not None:
                yield _attempt(item)
                if item.end.status in FINAL:
                    yield _execution(item)


def has_ended(item: Advance, record: StepRecord) -> bool:
    """Whether a step came to an end of its own; of one that was stopped its attempt tells."""
    return record.status in FINAL_STEP and (record.step, record.item) not in item.stopped


def micros(start: int | None, end: int | None) -> int:
    """How long something took."""
    return 0 if start is None or end is None else max(end - start, 0)


def _step(item: Advance, record: StepRecord) -> Event:
    return StepFinished(
        at=from_micros(record.finished_at or 0),
        workspace=item.claim.workspace,
        execution_id=item.claim.id,
        bot=item.claim.bot_name,
        traceparent=item.claim.traceparent,
        step=record.step,
        type=item.types.get(record.step, ""),
        item=None if record.item < 0 else record.item,
        status=record.status,
        duration_seconds=micros(record.started_at, record.finished_at) / 1e6,
    )


def _attempt(item: Advance) -> Event:
    claim, end = item.claim, item.end
    assert end is not None
    return AttemptFinished(
        at=from_micros(end.at),
        workspace=claim.workspace,
        execution_id=claim.id,
        bot=claim.bot_name,
        traceparent=claim.traceparent,
        attempt=claim.attempt,
        outcome=end.outcome,
        duration_seconds=micros(claim.attempt_at, end.at) / 1e6,
    )


def _execution(item: Advance) -> Event:
    claim, end = item.claim, item.end
    assert end is not None
    return ExecutionFinished(
        at=from_micros(end.at),
        workspace=claim.workspace,
        execution_id=claim.id,
        bot=claim.bot_name,
        traceparent=claim.traceparent,
        status=end.status,
        cause=end.cause,
        message=end.message,
        bot_type=item.bot_type,
        duration_seconds=micros(claim.started_at, end.at) / 1e6,
    )
