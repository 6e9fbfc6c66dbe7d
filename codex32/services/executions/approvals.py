"""What steps ask people: which approvals there are, and deciding them.

Functions here read and write rows: they are called through ``Door.read`` and ``Door.write``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Literal

from codex32.engine.reading.document import dotted
from codex32.engine.records import approvals as rows
from codex32.engine.records import links, waking
from codex32.engine.records.approvals import EXPIRED, PENDING
from codex32.engine.values.validation import Validator
from codex32.kernel.caller import DEFAULT_WORKSPACE, HOUSE, Caller
from codex32.kernel.errors import (
    ApprovalNotFound,
    ApprovalSettled,
    FormInvalid,
)
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM, ApprovalRow, ExecutionRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.problems import Problem
from codex32.services.presentation import iso
from codex32.services.safe import audit

#: Longest name of whoever decides, and longest note, in characters.
MAX_NAME, MAX_NOTE = 200, 4000
_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Query:
    """Which approvals to list, newest first.

    Attributes:
      status: ``pending`` (what can be decided now), ``approved rejected expired cancelled``.
      before: Only approvals with a smaller id: the last one of the page before.
    """

    status: tuple[str, ...] = (PENDING,)
    bot: str | None = None
    execution: str | None = None
    before: str | None = None
    limit: int = 20
    workspace: str = DEFAULT_WORKSPACE


def listing(query: Query, now: int) -> list[ApprovalRow]:
    """The approvals that ``query`` asks for, as they stand at ``now`` (microseconds)."""
    found = ApprovalRow.select().where(ApprovalRow.workspace == query.workspace)
    found = found.order_by(ApprovalRow.id.desc()).limit(query.limit)
    over = ApprovalRow.expires_at.is_null(False) & (ApprovalRow.expires_at <= now)
    kinds = []
    for status in query.status:
        kind = ApprovalRow.status == status
        if status == PENDING:
            kind &= ~over | ApprovalRow.expires_at.is_null()
        elif status == EXPIRED:
            kind |= (ApprovalRow.status == PENDING) & over
        kinds.append(kind)
    if kinds:
        found = found.where(reduce(or_, kinds))
    if query.bot is not None:
        found = found.where(ApprovalRow.bot_name == query.bot)
    if query.execution is not None:
        found = found.where(ApprovalRow.execution_id == query.execution)
    if query.before is not None:
        found = found.where(ApprovalRow.id < query.before)
    return list(found)


def get(approval_id: str, *, workspace: str = DEFAULT_WORKSPACE) -> ApprovalRow:
    """The row of an approval of the workspace.

    Raises:
      ApprovalNotFound: There is none.
    """
    mine = (ApprovalRow.id == approval_id) & (ApprovalRow.workspace == workspace)
    row = ApprovalRow.get_or_none(mine)
    if row is None:
        raise ApprovalNotFound(approval_id)
    return row


def by_link(token: str) -> ApprovalRow | None:
    """The approval to which a link leads, whatever its workspace; None while nothing is asked.

    Raises:
      ApprovalNotFound: The link leads nowhere.
    """
    there, row = links.follow(token)
    if not there:
        raise ApprovalNotFound("of this link")
    return row


def find(prefix: str, *, workspace: str = DEFAULT_WORKSPACE) -> ApprovalRow:
    """The one approval whose id begins with ``prefix``, for people who type.

    The id of an execution, cut short or not, stands for its one open approval.

    Raises:
      ApprovalNotFound: None is meant, or several may be.
    """
    mine = ApprovalRow.workspace == workspace
    found = _beginning(mine & ApprovalRow.id.startswith(prefix))
    if not found:
        of_execution = mine & ApprovalRow.execution_id.startswith(prefix)
        found = _beginning(of_execution & (ApprovalRow.status == PENDING))
    if not prefix or len(found) != 1:
        raise ApprovalNotFound(prefix, [row.id for row in found[:_CANDIDATES]])
    return found[0]


def _beginning(condition: object) -> list[ApprovalRow]:
    chosen = ApprovalRow.select().where(condition).order_by(ApprovalRow.id)
    return list(chosen.limit(_CANDIDATES + 1))


def standing(row: ApprovalRow, now: int) -> str:
    """The status; one whose time is over counts as expired, although no worker has seen it."""
    over = row.expires_at is not None and row.expires_at <= now
    return EXPIRED if row.status == PENDING and over else str(row.status)


def as_dict(row: ApprovalRow, payloads: PayloadStore, now: int) -> dict[str, JSON]:
    """An approval as plain data for JSON."""
    request = payloads.unpack(row.execution_id, row.request)
    answer = payloads.unpack(row.execution_id, row.answer) or {}
    return {
        "id": row.id,
        "execution": row.execution_id,
        "bot": row.bot_name,
        "step": row.step,
        "item": None if row.item == NO_ITEM else row.item,
        "status": standing(row, now),
        "text": request["text"],
        "to": request["to"],
        "form": request["form"],
        "on_expire": request["on_expire"],
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
        "decided_at": iso(row.decided_at),
        "by": row.decided_by,
        "answer": answer.get("form"),
        "note": answer.get("note"),
    }


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided.

    Attributes:
      by: Who; a name for people, which nobody checks.
      form: What was filled in, by name.
      note: Why, for people and for later steps.
    """

    verdict: Literal["approved", "rejected"]
    by: str
    form: Mapping[str, JSON] = field(default_factory=dict)
    note: str | None = None


def decide(
    approval_id: str,
    decision: Decision,
    now: int,
    payloads: PayloadStore,
    *,
    workspace: str = DEFAULT_WORKSPACE,
    caller: Caller = HOUSE,
) -> ApprovalRow:
    """Settle an approval and let its execution go on; the first decision counts.

    Raises:
      ApprovalNotFound: There is none.
      ApprovalSettled: It was decided before, its time is over, or its execution ends.
      FormInvalid: What was filled in does not fit; all faults are told.
    """
    row = get(approval_id, workspace=workspace)
    execution = rows.hold(row.execution_id)
    row = get(approval_id, workspace=workspace)  # as it is now that nobody else can settle it
    if (row.status, row.decided_by, row.decided_at) == (decision.verdict, decision.by, now):
        return row  # a commit whose answer was lost: this is our own
    _refuse_settled(row, execution, now)
    request = payloads.unpack(row.execution_id, row.request)
    form = _checked(row, decision, request["form"])
    answer = payloads.pack(row.execution_id, {"form": form, "note": decision.note})
    ApprovalRow.update(
        status=decision.verdict, decided_at=now, decided_by=decision.by, answer=answer
    ).where((ApprovalRow.id == row.id) & (ApprovalRow.status == PENDING)).execute()
    waking.wake([row.execution_id], now)
    rows.tell(row, decision.verdict, decision.by, now)
    told = {"execution": row.execution_id, "step": row.step, "by": decision.by}
    action = f"approval.{decision.verdict}"
    audit.record(caller, action, row.id, now, change=told, workspace=workspace)
    return get(approval_id, workspace=workspace)


def _refuse_settled(row: ApprovalRow, execution: ExecutionRow | None, now: int) -> None:
    status = standing(row, now)
    how = None
    if status in (rows.APPROVED, rows.REJECTED):
        how = f"{row.decided_by} {status} it at {iso(row.decided_at)}"
    elif status == EXPIRED:
        how = f"it expired at {iso(row.expires_at)}"
    elif execution is None or execution.finished_at is not None:
        how = f"its execution {row.execution_id} has ended"
    elif execution.cancel_at is not None:
        how = f"its execution {row.execution_id} is being cancelled"
    elif status != PENDING:
        how = f"its step {row.step} has ended"
    if how is not None:
        raise ApprovalSettled(row.id, status, how)


def _checked(row: ApprovalRow, decision: Decision, schema: JSON) -> dict[str, JSON]:
    """The complete form.

    Who rejects need not fill in anything; what they give has to fit all the same.
    """
    problems = [*_signature(decision)]
    given = dict(decision.form)
    if schema is None:
        problems += [
            Problem("there is no form to fill in", name, code="unknown-field") for name in given
        ]
    else:
        if decision.verdict == rows.REJECTED:
            schema = {**schema, "required": []}
        fields = schema["properties"]
        given = {
            **{name: field["default"] for name, field in fields.items() if "default" in field},
            **given,
        }
        for each in Validator(schema, private=True).findings(given):
            problems.append(Problem(each.message, dotted(each.path), code=each.code))
    if problems:
        raise FormInvalid(f"{row.id} cannot be decided like this:", problems)
    return given


def _signature(decision: Decision) -> list[Problem]:
    problems = []
    if not decision.by.strip() or len(decision.by) > MAX_NAME or not decision.by.isprintable():
        message = f"must be a name of 1 to {MAX_NAME} characters, without line breaks"
        problems.append(Problem(message, "by"))
    if decision.note is not None and len(decision.note) > MAX_NOTE:
        problems.append(Problem(f"must have at most {MAX_NOTE} characters", "note"))
    return problems
