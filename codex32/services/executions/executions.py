"""Asking for executions, looking at them, cancelling and retrying them.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from codex32.engine.records import gates
from codex32.engine.records.cancelling import Cancelled, cancel_many
from codex32.engine.records.turns import Asked, take_turns
from codex32.kernel.batches import Insert
from codex32.kernel.caller import DEFAULT_WORKSPACE, HOUSE, Caller
from codex32.kernel.database import announce, fetch
from codex32.kernel.errors import ExecutionNotFound, InvalidTransition
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import AttemptRow, ExecutionRow, LogLineRow, StepRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import Status
from codex32.services.executions.diagnosing import told
from codex32.services.presentation import iso
from codex32.services.safe import audit


@dataclass(slots=True)
class NewExecution:
    """An execution that shall be. Inputs are complete and checked; texts are packed JSON.

    Attributes:
      id: Made with ``new_id("exe")`` by the caller, so that asking twice is asking once.
      created_at: Microseconds.
      idempotency_key: Where an execution of this key is there already, it is the answer.
      request_digest: What was asked for under the key; under one key one thing is asked for.
      gate: What limits it (see ``codex32.engine.records.gates``), with ``gate_limit``.
      when_full: ``queue``, ``skip`` or ``cancel_oldest``: what a full gate means.
      max_queued: How many may wait before the gate; more are skipped.
    """

    id: str
    bot_id: str
    bot_name: str
    version_id: str
    version_number: int
    inputs: str
    trigger: str
    trigger_kind: str
    created_at: int
    workspace: str = DEFAULT_WORKSPACE
    trigger_id: str | None = None
    parent_id: str | None = None
    depth: int = 0
    priority: int = 0
    idempotency_key: str | None = None
    gate: str | None = None
    gate_limit: int | None = None
    request_digest: str | None = None
    traceparent: str | None = None
    when_full: str = "queue"
    max_queued: int | None = None


@dataclass(slots=True)
class Submitted:
    """What came of asking for an execution.

    Attributes:
      id: The execution; None where the gate was full and it was not made.
      repeated: It was there before, under the same idempotency key.
      held: It waits before its gate.
      conflict: Something else was asked for under the same key.
    """

    id: str | None
    repeated: bool = False
    held: bool = False
    conflict: bool = False


_COLUMNS = (
    "id",
    "workspace",
    "bot_id",
    "bot_name",
    "version_id",
    "version_number",
    "inputs",
    "trigger",
    "trigger_kind",
    "trigger_id",
    "parent_id",
    "depth",
    "priority",
    "idempotency_key",
    "request_digest",
    "traceparent",
    "gate",
    "gate_limit",
    "created_at",
)
_columns = attrgetter(*_COLUMNS)
_NEW = Insert(ExecutionRow, (*_COLUMNS, "status", "message", "admitted", "ready_at", "turn"))


def submit(items: Sequence[NewExecution], asked: Asked | None = None) -> list[Submitted]:
    """Make executions, and let workers know of those that may run. A batch for ``write_many``.

    Args:
      items: The executions.
      asked: What is known already of turns, see ``codex32.engine.records.turns``.
    """
    if not items:
        return []
    results: dict[int, Submitted] = {}
    rows, plain = [], []
    now = max(item.created_at for item in items)
    turns = take_turns([(item.bot_id, item.priority) for item in items], now, asked)
    for position, (item, turn) in enumerate(zip(items, turns, strict=True)):
        if item.idempotency_key is not None or item.gate is not None:
            results[position] = _submit_one(item, turn)
        else:
            rows.append(_values(item, turn, admitted=True))
            plain.append((position, item.id))
    _NEW.write(rows)
    for position, execution_id in plain:
        announce(execution_id)
        results[position] = Submitted(execution_id)
    return [results[position] for position in range(len(items))]


def _submit_one(item: NewExecution, turn: int) -> Submitted:
    if item.idempotency_key is not None:
        gates.lock(f"key:{item.idempotency_key}")
        found = earlier(item.idempotency_key, item.request_digest)
        if found is not None:
            return found
    admitted = True
    if item.gate is not None:
        gates.lock(item.gate)
        admitted = gates.has_room(item.gate, item.gate_limit or 1)
        if admitted and item.when_full == "queue":
            # One that waits its turn needs the gate empty; nobody may pass it for ever.
            admitted = not gates.holds(item.gate, 1, item.priority)
        if not admitted:
            if item.when_full == "skip":
                return Submitted(None)
            if item.when_full == "cancel_oldest":
                _cancel_oldest(item)
                admitted = gates.has_room(item.gate, item.gate_limit or 1)
            elif item.max_queued is not None and gates.holds(
                item.gate, item.max_queued, item.priority
            ):
                return Submitted(None)
    _NEW.write([_values(item, turn, admitted=admitted)])
    if admitted:
        announce(item.id)
    return Submitted(item.id, held=not admitted)


def _values(item: NewExecution, turn: int, *, admitted: bool) -> tuple[Any, ...]:
    return (
        *_columns(item),
        Status.QUEUED,
        "",
        admitted,
        item.created_at if admitted else None,
        turn,
    )


def _cancel_oldest(item: NewExecution) -> None:
    assert item.gate is not None
    oldest = gates.oldest(item.gate)
    if oldest is not None:
        cancel_many([oldest], item.created_at, "a newer execution took its place")


def earlier(key: str, request_digest: str | None) -> Submitted | None:
    """The execution that was made under a key before; a conflict, if for another request."""
    mine = ExecutionRow.idempotency_key == key
    found = fetch(ExecutionRow.select(ExecutionRow.id, ExecutionRow.request_digest).where(mine))
    if not found:
        return None
    execution_id, digest = found[0]
    conflict = None not in (digest, request_digest) and digest != request_digest
    return Submitted(execution_id, repeated=True, conflict=conflict)


def get(execution_id: str, *, workspace: str = DEFAULT_WORKSPACE) -> ExecutionRow:
    """The row of an execution of the workspace.

    Raises:
      ExecutionNotFound: There is none.
    """
    mine = (ExecutionRow.id == execution_id) & (ExecutionRow.workspace == workspace)
    row = ExecutionRow.get_or_none(mine)
    if row is None:
        raise ExecutionNotFound(execution_id)
    return row


def get_many(ids: Sequence[str], *, workspace: str = DEFAULT_WORKSPACE) -> list[ExecutionRow]:
    """The rows of those of ``ids`` that are there, in their order."""
    mine = ExecutionRow.id.in_(list(ids)) & (ExecutionRow.workspace == workspace)
    rows = {row.id: row for row in ExecutionRow.select().where(mine)}
    return [rows[each] for each in dict.fromkeys(ids) if each in rows]


_ID_LENGTH = len("exe_") + 26


def find(prefix: str, *, workspace: str = DEFAULT_WORKSPACE) -> ExecutionRow:
    """The row of the one execution whose id begins with ``prefix``, for people who type.

    Raises:
      ExecutionNotFound: None begins so, or several do.
    """
    # A range, for LIKE uses no index. No character of an id is greater than z.
    among = (ExecutionRow.id >= prefix) & (ExecutionRow.id <= prefix.ljust(_ID_LENGTH, "z"))
    mine = among & (ExecutionRow.workspace == workspace)
    rows = list(ExecutionRow.select().where(mine).limit(2))
    if len(rows) != 1:
        raise ExecutionNotFound(prefix)
    return rows[0]


def cancel(
    execution_id: str,
    now: int,
    *,
    message: str = "cancelled by request",
    workspace: str = DEFAULT_WORKSPACE,
    by: Caller = HOUSE,
) -> ExecutionRow:
    """Cancel an execution and the children it waits for.

    At once where it has not begun, else as soon as its worker hears of it.

    Raises:
      ExecutionNotFound: There is none.
      InvalidTransition: It has ended already.
    """
    row = get(execution_id, workspace=workspace)
    over = cancel_all([row.id], now, message=message, workspace=workspace, by=by).over
    row = get(execution_id, workspace=workspace)
    if over:
        raise InvalidTransition(execution_id, row.status, Status.CANCELLED)
    return row


def cancel_all(
    ids: Sequence[str],
    now: int,
    *,
    message: str = "cancelled by request",
    workspace: str = DEFAULT_WORKSPACE,
    by: Caller = HOUSE,
) -> Cancelled:
    """Cancel some hundreds of executions; ids that the workspace has none of are passed over."""
    mine = ExecutionRow.id.in_(list(ids)) & (ExecutionRow.workspace == workspace)
    found = fetch(ExecutionRow.select(ExecutionRow.id).where(mine))
    done = cancel_many([execution_id for (execution_id,) in found], now, message)
    for each in (*done.ended, *done.asked):
        audit.record(by, "execution.cancelled", each, now, workspace=workspace)
    return done


@dataclass(frozen=True, slots=True)
class Inspection:
    """An execution with everything recorded of it."""

    execution: ExecutionRow
    steps: Sequence[StepRow]
    attempts: Sequence[AttemptRow]


def inspect(execution_id: str, *, workspace: str = DEFAULT_WORKSPACE) -> Inspection:
    """Everything recorded of an execution but its log lines.

    Raises:
      ExecutionNotFound: There is none.
    """
    row = get(execution_id, workspace=workspace)
    steps = StepRow.select().where(StepRow.execution_id == row.id)
    attempts = AttemptRow.select().where(AttemptRow.execution_id == row.id)
    return Inspection(
        row,
        sorted(steps, key=lambda s: (s.started_at or s.finished_at or 0, s.step, s.item)),
        list(attempts.order_by(AttemptRow.number)),
    )


def log_lines(execution_id: str, *, after: int = 0, limit: int = 1000) -> list[LogLineRow]:
    """Log lines with an id above ``after``, in order; whose execution it is was looked at."""
    return list(
        LogLineRow.select()
        .where((LogLineRow.execution_id == execution_id) & (LogLineRow.id > after))
        .order_by(LogLineRow.id)
        .limit(limit)
    )


def retries_of(execution_id: str) -> list[str]:
    """The executions that do this one again, oldest first."""
    rows = ExecutionRow.select(ExecutionRow.id).where(ExecutionRow.retry_of == execution_id)
    return [row[0] for row in fetch(rows.order_by(ExecutionRow.id))]


def settlement(row: ExecutionRow) -> JSON:
    """How somebody looked after a failed execution, as plain data; None where nobody did."""
    if row.settled is None:
        return None
    told = loads(row.settled)
    return {**told, "at": iso(told["at"])}


def as_dict(row: ExecutionRow, payloads: PayloadStore | None = None) -> dict[str, JSON]:
    """An execution as plain data for JSON; with ``payloads``, its values too."""
    data: dict[str, JSON] = {
        "id": row.id,
        "bot": row.bot_name,
        "version": row.version_number,
        "status": row.status,
        "cause": row.cause,
        "message": row.message,
        "trigger": row.trigger_kind,
        "attempt": row.attempt,
        "worker": row.worker,
        "parent": row.parent_id,
        "retry_of": row.retry_of,
        "created_at": iso(row.created_at),
        "started_at": iso(row.started_at),
        "finished_at": iso(row.finished_at),
        "next_at": iso(row.ready_at) if row.status == Status.WAITING else None,
        "held": not row.admitted,
        "cancel_requested": row.cancel_at is not None or _closes_cancelled(row),
    }
    if payloads is not None:
        data["retried_by"] = retries_of(row.id)
        data["settled"] = settlement(row)
        data["started_by"] = payloads.unpack(row.id, row.trigger).get("by")
        data["inputs"] = payloads.unpack(row.id, row.inputs)
        data["output"] = payloads.unpack(row.id, row.output)
    return data


def _closes_cancelled(row: ExecutionRow) -> bool:
    """Whether the request was heard, and its ``finally`` steps are under way."""
    return row.closing is not None and loads(row.closing)["status"] == Status.CANCELLED


def detail(row: ExecutionRow, payloads: PayloadStore) -> dict[str, JSON]:
    """An execution with its values and, if it did not succeed, with what went wrong, for JSON."""
    error = None
    if row.status in (Status.FAILED, Status.CANCELLED):
        error = {"message": row.message, "code": row.cause or row.status}
    return {**as_dict(row, payloads), "error": error, "diagnosis": told(row, payloads)}
