"""Deciding what became of an effect that nobody can tell: the person's part of the ledger."""

from __future__ import annotations

from typing import Literal

from codex32.engine.records import approvals, waking
from codex32.kernel.caller import DEFAULT_WORKSPACE, HOUSE, Caller
from codex32.kernel.errors import ExecutionNotFound, InvalidTransition
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.models import StepRow
from codex32.kernel.outcomes import Effect
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Status, StepStatus
from codex32.services.safe import audit

Decision = Literal["sent", "not-sent", "fail"]


def resolve(
    execution_id: str,
    decision: Decision,
    now: int,
    *,
    step: str | None = None,
    item: int | None = None,
    output: JSON = None,
    payloads: PayloadStore | None = None,
    workspace: str = DEFAULT_WORKSPACE,
    by: Caller = HOUSE,
) -> list[StepRow]:
    """Decide about the steps of an execution whose effects are unknown, and let it go on.

    One that has ended stays as it ended; the decision counts when it is retried.

    Args:
      execution_id: The execution, which is waiting for this or has ended.
      decision: ``sent``: it happened, the step succeeded. ``not-sent``: it did not, the step is
        done again. ``fail``: the step failed.
      now: The present, in microseconds.
      step: Only this step; None for all that are unknown.
      item: Only this item of a ``foreach``; None for all that are unknown.
      output: What was sent was answered with, which the steps after it may want.
      payloads: Takes an output, where there is one.
      workspace: Whose execution it is.
      by: Who decides.

    Returns:
      The rows that were decided about, as they were.

    Raises:
      ExecutionNotFound: There is no such execution.
      InvalidTransition: No step of it is unknown, or it is under way.
    """
    row = approvals.hold(execution_id)
    if row is None or row.workspace != workspace:
        raise ExecutionNotFound(execution_id)
    doubtful = StepRow.status == StepStatus.UNKNOWN
    if row.finished_at is not None:  # nobody is at work on it any more
        under_way = (StepRow.status == StepStatus.RUNNING) & (StepRow.effect == Effect.ONCE)
        doubtful |= under_way
    unknown = list(StepRow.select().where((StepRow.execution_id == execution_id) & doubtful))
    chosen = [each for each in unknown if step in (None, each.step) and item in (None, each.item)]
    if not chosen or (row.finished_at is None and row.status != Status.WAITING):
        named = "no step" if step is None else f"step {step}"
        named += "" if item is None else f", item {item}"
        raise InvalidTransition(f"{execution_id} ({named} of it is unknown)", row.status, decision)
    packed = None
    if output is not None:
        assert payloads is not None
        packed = payloads.pack(row.id, output)
    for each in chosen:
        _decide(each, decision, packed, now)
    told = {"decision": decision, "steps": [[each.step, each.item] for each in chosen]}
    audit.record(by, "execution.resolved", row.id, now, change=told, workspace=workspace)
    if row.finished_at is not None:
        return chosen
    waking.wake([execution_id], now)
    return chosen


def _decide(row: StepRow, decision: Decision, output: str | None, now: int) -> None:
    this = (
        (StepRow.execution_id == row.execution_id)
        & (StepRow.step == row.step)
        & (StepRow.item == row.item)
        & (StepRow.status == row.status)
    )
    if decision == "not-sent":
        StepRow.delete().where(this).execute()
        return
    note = dumps({"resolved": decision})
    if decision == "sent":
        done = {"output": output, "error": None, "note": note, "finished_at": now}
        StepRow.update(status=StepStatus.SUCCEEDED, **done).where(this).execute()
        return
    error = dumps({"message": "a person decided that it failed", "code": "resolved"})
    StepRow.update(status=StepStatus.FAILED, error=error, note=note, finished_at=now).where(
        this
    ).execute()
