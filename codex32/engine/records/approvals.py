"""What steps ask people: the rows, from the asking to the end, whoever settles them.

An approval is written in the transaction in which its step begins to wait, and settled once: by
a person, by the time until which it could be decided, or by the end of its step or execution.
Whoever settles one holds the execution's row, so that a decision and the end of an attempt
never miss each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from codex32.engine.records import waking
from codex32.engine.records.advance import Advance
from codex32.kernel.batches import Insert
from codex32.kernel.clock import from_micros
from codex32.kernel.database import announce, fetch, is_sqlite
from codex32.kernel.events import ApprovalDecided
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM, ApprovalRow, ExecutionRow
from codex32.kernel.statuses import FINAL, FINAL_STEP, Status

PENDING, APPROVED, REJECTED = "pending", "approved", "rejected"
EXPIRED, CANCELLED = "expired", "cancelled"
#: All of them, the open one first.
STATUSES = (PENDING, APPROVED, REJECTED, EXPIRED, CANCELLED)

_NEW = Insert(
    ApprovalRow,
    (
        "id",
        "workspace",
        "execution_id",
        "bot_name",
        "step",
        "item",
        "status",
        "request",
        "created_at",
        "expires_at",
    ),
)


def form_schema(form: Mapping[str, JSON]) -> JSON:
    """The JSON Schema of a whole answer; None where nothing is to be filled in."""
    if not form:
        return None
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(form),
        "required": [name for name, schema in form.items() if "default" not in schema],
    }


def follow(items: Sequence[Advance]) -> None:
    """Do for approvals what follows from steps that begin to wait, and from ends."""
    _NEW.write(
        [
            (
                each.id,
                item.claim.workspace,
                item.claim.id,
                item.claim.bot_name,
                each.step,
                each.item,
                PENDING,
                each.request,
                each.created_at,
                each.expires_at,
            )
            for item in items
            for each in item.asks
        ]
    )
    for item in items:
        execution_id, end = item.claim.id, item.end
        if end is not None and end.status in FINAL and item.asked:
            close(execution_id, end.at)
        elif end is not None and end.status == Status.WAITING and item.awaits:
            _wake_if_settled(execution_id, item.awaits, end.at)
        elif end is None and item.asked:
            over = {each.step for each in item.steps if each.status in FINAL_STEP}
            close(execution_id, max(each.finished_at or 0 for each in item.steps), over)


def close(execution_id: str, now: int, steps: Collection[str] | None = None) -> int:
    """Settle what is still open as cancelled, of some steps or of all; how many there were."""
    pending = (ApprovalRow.execution_id == execution_id) & (ApprovalRow.status == PENDING)
    if steps is not None:
        pending &= ApprovalRow.step.in_(list(steps))
    rows = list(ApprovalRow.select().where(pending))
    if rows:
        ApprovalRow.update(status=CANCELLED, decided_at=now).where(pending).execute()
    for row in rows:
        tell(row, CANCELLED, None, now)
    return len(rows)


def hold(execution_id: str) -> ExecutionRow | None:
    """The execution's row, which nobody else changes until the transaction ends."""
    rows = ExecutionRow.select().where(ExecutionRow.id == execution_id)
    # On SQLite the transaction holds everything.
    found: ExecutionRow | None = (rows if is_sqlite() else rows.for_update()).first()
    return found


def _wake_if_settled(execution_id: str, awaited: Sequence[str], now: int) -> None:
    """One may have been decided while another branch of the execution was still running."""
    open_ = ApprovalRow.select(ApprovalRow.id).where(
        (ApprovalRow.execution_id == execution_id) & (ApprovalRow.status == PENDING)
    )
    if set(awaited) - {row[0] for row in fetch(open_)}:
        waking.wake([execution_id], now)


def settled(execution_id: str) -> dict[str, ApprovalRow]:
    """What was decided of an execution's approvals, by id."""
    rows = ApprovalRow.select().where(
        (ApprovalRow.execution_id == execution_id) & (ApprovalRow.status != PENDING)
    )
    return {row.id: row for row in rows}


def expire(execution_id: str, approval_id: str, now: int) -> ApprovalRow | None:
    """Settle an approval whose time is over, unless somebody was quicker; the row as it is."""
    hold(execution_id)
    changed = (
        ApprovalRow.update(status=EXPIRED, decided_at=now)
        .where((ApprovalRow.id == approval_id) & (ApprovalRow.status == PENDING))
        .execute()
    )
    row: ApprovalRow | None = ApprovalRow.get_or_none(ApprovalRow.id == approval_id)
    if changed and row is not None:
        tell(row, EXPIRED, None, now)
    return row


def answer_of(row: ApprovalRow, given: JSON) -> JSON:
    """What a bot type is told of a decision; None where nobody decided.

    Args:
      row: A settled approval.
      given: Its ``answer``, unpacked.
    """
    if row.status not in (APPROVED, REJECTED):
        return None
    given = given or {}
    return {
        "approved": row.status == APPROVED,
        "by": row.decided_by,
        "at": from_micros(row.decided_at or 0).isoformat(),
        "form": given.get("form", {}),
        "note": given.get("note"),
    }


def tell(row: ApprovalRow, decision: str, by: str | None, now: int) -> None:
    """Tell listeners, after the commit, that an approval is settled."""
    announce(
        ApprovalDecided(
            at=from_micros(now),
            workspace=row.workspace,
            execution_id=row.execution_id,
            bot=row.bot_name,
            approval_id=row.id,
            step=row.step,
            item=None if row.item == NO_ITEM else row.item,
            decision=decision,
            by=by,
        )
    )
