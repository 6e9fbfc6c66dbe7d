"""Claims: taking executions that may run, keeping them, and queueing those whose time has come.

A claim takes an execution that is ``queued`` and holds until its lease ends. Everything that is
recorded afterwards is accepted only from the worker and the attempt that hold it
(:mod:`codex32.engine.records.record`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codex32.engine.records.advance import Claim
from codex32.engine.records.turns import take_turns
from codex32.kernel.batches import Update, any_of, listed
from codex32.kernel.database import announce, is_sqlite
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import ExecutionRow, database_proxy
from codex32.kernel.statuses import Status

_CLAIM_COLUMNS = (
    "id",
    "bot_id",
    "bot_name",
    "version_id",
    "version_number",
    "inputs",
    "trigger",
    "attempt",
    "active_micros",
    "started_at",
    "attempt_at",
    "parent_id",
    "depth",
    "gate",
    "closing",
    "cancel_at",
    "priority",
    "worker",
    "rate_at",
    "lineage",
    "workspace",
    "traceparent",
)


#: Waiting executions that are queued at once, at most.
WAKE = 500


#: Both walk along an index until they have enough. PostgreSQL, whose statistics know little of a
#: queue that was empty a minute ago, would rather gather and sort all that waits.
_ALONG_AN_INDEX = "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off"

_WAKE = Update(
    ExecutionRow, ("id",), ("status", "message", "turn"), guard="execution.status = 'waiting'"
)


def take(
    worker: str,
    limit: int,
    now: int,
    lease_micros: int,
    only: Sequence[str] = (),
    but: Sequence[str] = (),
    *,
    last: bool = False,
) -> list[Claim]:
    """Claim up to ``limit`` executions that may run, most urgent first.

    Args:
      worker: Who claims.
      limit: Most executions that are claimed.
      now: The present, in microseconds.
      lease_micros: How long the claims hold without a heartbeat.
      only: Ids to choose from; empty for all.
      but: Bots whose executions are left for now.
      last: Nothing else is written in this transaction; on PostgreSQL that spares a round trip.
    """
    mark, lock = ("?", "") if is_sqlite() else ("%s", " FOR UPDATE SKIP LOCKED")
    chosen = f" AND {any_of('id')}" if only else ""
    chosen += f" AND NOT {any_of('bot_id')}" if but else ""
    choice = [listed(each) for each in (only, but) if each]
    _walk_along_an_index()
    execute = database_proxy.execute_last if last else database_proxy.execute_sql
    cursor = execute(
        "UPDATE execution SET status = 'running', ready_at = NULL, attempt = attempt + 1, "  # noqa: S608
        f"worker = {mark}, lease_at = {mark}, attempt_at = {mark}, "
        f"started_at = COALESCE(started_at, {mark}) "
        "WHERE id IN (SELECT id FROM execution WHERE status = 'queued' AND ready_at IS NOT NULL"
        f"{chosen} ORDER BY priority DESC, turn LIMIT {mark}{lock}) "
        f"RETURNING {', '.join(_CLAIM_COLUMNS)}, "
        "EXISTS (SELECT 1 FROM state WHERE state.bot_id = execution.bot_id), turn",
        (worker, now + lease_micros, now, now, *choice, limit),
    )
    found = [(Claim(*columns), stateful, turn) for *columns, stateful, turn in cursor.fetchall()]
    _add_state([claim for claim, stateful, _ in found if stateful])
    found.sort(key=lambda each: (-each[0].priority, each[2]))
    return [claim for claim, _, _ in found]


def wake(now: int) -> int:
    """Queue waiting executions whose time has come, and let workers know; how many."""
    mark, lock = ("?", "") if is_sqlite() else ("%s", " FOR UPDATE SKIP LOCKED")
    _walk_along_an_index()
    due = database_proxy.execute_sql(
        "SELECT id, bot_id, priority FROM execution WHERE status = 'waiting' "  # noqa: S608
        f"AND ready_at IS NOT NULL AND ready_at <= {mark} ORDER BY ready_at LIMIT {WAKE}{lock}",
        (now,),
    ).fetchall()
    if not due:
        return 0
    turns = take_turns([(bot_id, priority) for _, bot_id, priority in due], now)
    woken = _WAKE.write(
        (Status.QUEUED, "", turn, execution_id)
        for (execution_id, _, _), turn in zip(due, turns, strict=True)
    )
    for execution_id, _, _ in due:
        if execution_id in woken:
            announce(execution_id)
    return len(woken)


def _walk_along_an_index() -> None:
    if not is_sqlite():
        database_proxy.defer(_ALONG_AN_INDEX, ())


def _add_state(claims: Sequence[Claim]) -> None:
    """Give claims their bots' states, with one query for all of them."""
    bots = sorted({claim.bot_id for claim in claims})
    if not bots:
        return
    by_bot: dict[str, dict[str, JSON]] = {}
    query = f"SELECT bot_id, key, value FROM state WHERE {any_of('bot_id')}"  # noqa: S608
    for bot_id, key, value in database_proxy.execute_sql(query, (listed(bots),)).fetchall():
        by_bot.setdefault(bot_id, {})[key] = loads(value)
    for claim in claims:
        if claim.bot_id in by_bot:
            claim.state = dict(by_bot[claim.bot_id])


@dataclass(frozen=True, slots=True)
class Renewed:
    """What became of a worker's claims: ids no longer its own, and ids that shall be cancelled."""

    lost: Sequence[str]
    cancelled: Sequence[str]


def renew(worker: str, held: Sequence[str], now: int, lease_micros: int) -> Renewed:
    """Extend the leases of the executions that a worker knows it holds.

    One that was claimed in a commit whose answer never came is not among them: its lease ends,
    and it goes to whoever is next.
    """
    mark = "?" if is_sqlite() else "%s"
    cursor = database_proxy.execute_sql(
        f"UPDATE execution SET lease_at = {mark} WHERE {any_of('id')} "  # noqa: S608
        f"AND worker = {mark} AND status = 'running' RETURNING id, cancel_at",
        (now + lease_micros, listed(held), worker),
    )
    rows = cursor.fetchall()
    still = {execution_id for execution_id, _ in rows}
    return Renewed(
        lost=[each for each in held if each not in still],
        cancelled=[execution_id for execution_id, cancel_at in rows if cancel_at is not None],
    )
