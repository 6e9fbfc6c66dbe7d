"""Dead letters: executions that failed, and that nobody has retried or dismissed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.kernel.caller import DEFAULT_WORKSPACE, Caller
from codex32.kernel.errors import InvalidTransition
from codex32.kernel.json_values import dumps
from codex32.kernel.models import ExecutionRow
from codex32.kernel.statuses import Status
from codex32.services.executions import executions
from codex32.services.executions.children import children, descendants
from codex32.services.safe import audit

#: What failed has a cause, and nothing else has. Said so, both databases see that the partial
#: index answers, and that no other does.
OPEN = ExecutionRow.cause.is_null(False) & ExecutionRow.settled.is_null()
RETRIED, DISMISSED = "retried", "dismissed"


@dataclass(frozen=True, slots=True)
class Query:
    """Which dead letters, newest first.

    Attributes:
      since: Only those that ended at this time or later, in microseconds.
      before: Only those with a smaller id: the last one of the page before.
    """

    bot: str | None = None
    cause: str | None = None
    since: int | None = None
    before: str | None = None
    limit: int = 20
    workspace: str = DEFAULT_WORKSPACE


def listing(query: Query) -> list[ExecutionRow]:
    """The dead letters that ``query`` asks for; the partial index answers."""
    rows = _narrowed(ExecutionRow.select(), query)
    if query.before is not None:
        rows = rows.where(ExecutionRow.id < query.before)
    return list(rows.order_by(ExecutionRow.id.desc()).limit(query.limit))


def count(query: Query) -> int:
    """How many there are, whatever ``before`` and ``limit`` say."""
    return int(_narrowed(ExecutionRow.select(ExecutionRow.id), query).count())


def _narrowed(rows: pw.ModelSelect[ExecutionRow], query: Query) -> pw.ModelSelect[ExecutionRow]:
    rows = rows.where(OPEN & (ExecutionRow.workspace == query.workspace))
    if query.bot is not None:
        rows = rows.where(ExecutionRow.bot_name == query.bot)
    if query.cause is not None:
        rows = rows.where(ExecutionRow.cause == query.cause)
    if query.since is not None:
        rows = rows.where(ExecutionRow.finished_at >= query.since)
    return rows


def dismiss(
    execution_id: str, by: Caller, note: str, now: int, *, workspace: str = DEFAULT_WORKSPACE
) -> ExecutionRow:
    """Take a failed execution off the list, with the failed ones it had started.

    Where somebody looked after it before, what they did stays.

    Raises:
      ExecutionNotFound: There is no such execution.
      InvalidTransition: It did not fail.
    """
    row = executions.get(execution_id, workspace=workspace)
    if row.status != Status.FAILED:
        raise InvalidTransition(row.id, row.status, DISMISSED)
    _settle([row.id, *descendants([row.id])], DISMISSED, by.name, note, now)
    told = {"bot": row.bot_name, "note": note}
    audit.record(by, "execution.dismissed", row.id, now, change=told, workspace=workspace)
    return executions.get(execution_id, workspace=workspace)


def settle_retried(
    row: ExecutionRow, retry_id: str, by: str, now: int, *, except_steps: frozenset[str]
) -> None:
    """Take an execution off the list because ``retry_id`` does it again.

    Executions that its steps had started go along, but for those of ``except_steps``, which are
    not done again.
    """
    ids = [row.id]
    if row.status == Status.FAILED:
        below = [child for child, step, _ in children([row.id]) if step not in except_steps]
        ids += [*below, *descendants(below)]
    _settle(ids, RETRIED, by, retry_id, now)


def _settle(ids: Sequence[str], how: str, by: str, note: str, now: int) -> None:
    told = dumps({"as": how, "at": now, "by": by, "note": note})
    failed = (ExecutionRow.status == Status.FAILED) & ExecutionRow.settled.is_null()
    ExecutionRow.update(settled=told).where(ExecutionRow.id.in_(list(ids)) & failed).execute()
