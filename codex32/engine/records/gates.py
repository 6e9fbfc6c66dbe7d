"""Limits on how many executions run at once.

An execution may stand behind a *gate*, a text that names what it shares with others: a bot's
concurrency key, or a trigger whose occurrences queue. A gate lets ``gate_limit`` of its
executions in; the rest stay ``queued`` without a time at which they may run, hold no worker and
no place in the queue, and are let in when one inside ends: by priority, then oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable

import peewee as pw

from codex32.engine.records.turns import take_turns
from codex32.kernel.batches import Update
from codex32.kernel.database import announce, fetch, is_sqlite
from codex32.kernel.models import ExecutionRow, database_proxy

#: How many that wait before a gate are looked at together.
_PAGE = 16
_ADMIT = Update(ExecutionRow, keys=("id",), columns=("admitted", "ready_at", "turn"))
_LIVE = "e.gate IS NOT NULL AND e.finished_at IS NULL"
# One look-up finds the next gate that holds any: the many before one gate are never walked.
WITH_ROOM = f"""
WITH RECURSIVE held(gate) AS (
    SELECT (SELECT e.gate FROM execution e
            WHERE {_LIVE} AND NOT e.admitted ORDER BY e.gate LIMIT 1)
    UNION ALL
    SELECT (SELECT e.gate FROM execution e
            WHERE {_LIVE} AND NOT e.admitted AND e.gate > held.gate ORDER BY e.gate LIMIT 1)
    FROM held WHERE held.gate IS NOT NULL
)
SELECT held.gate FROM held
WHERE held.gate IS NOT NULL
AND (SELECT COUNT(*) FROM execution e WHERE e.gate = held.gate AND {_LIVE} AND e.admitted)
  < (SELECT COALESCE(e.gate_limit, 1) FROM execution e
     WHERE e.gate = held.gate AND {_LIVE} AND NOT e.admitted
     ORDER BY e.priority DESC, e.id LIMIT 1)
LIMIT 1000
"""  # noqa: S608 - our own names


def lock(gate: str) -> None:
    """Hold the gate until the transaction ends; on SQLite the transaction holds everything."""
    if not is_sqlite():
        database_proxy.execute_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 32))", (gate,)
        )


def try_lock(gate: str) -> bool:
    """Hold the gate until the transaction ends, unless somebody else does; whether it is held."""
    if is_sqlite():
        return True
    asked = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 32))"
    return bool(database_proxy.execute_sql(asked, (gate,)).fetchone()[0])


def lock_all(names: Iterable[str]) -> None:
    """Hold several at once, in an order in which no two holders wait for each other."""
    ordered = sorted(set(names))
    if ordered and not is_sqlite():
        database_proxy.execute_sql(
            "SELECT pg_advisory_xact_lock(hash) FROM (SELECT hashtextextended(name, 32) AS hash "
            "FROM unnest(%s::text[]) AS name ORDER BY 1) AS hashes",
            (ordered,),
        )


def has_room(gate: str, limit: int) -> bool:
    """Whether fewer than ``limit`` that the gate has let in have not ended."""
    return _count(_inside(gate), limit) < limit


def holds(gate: str, count: int, priority: int) -> bool:
    """Whether ``count`` or more wait before the gate that one of this priority cannot overtake."""
    return _count(_held(gate).where(ExecutionRow.priority >= priority), count) >= count


def oldest(gate: str) -> str | None:
    """The one of the gate's executions that came first and that nobody has cancelled."""
    for rows in (_inside(gate), _held(gate)):
        left = rows.where(ExecutionRow.cancel_at.is_null()).order_by(ExecutionRow.id)
        for (execution_id,) in fetch(left.limit(1)):
            return str(execution_id)
    return None


def admit(gate: str, now: int) -> None:
    """Let in as many as have room; call it where one of the gate's executions ended."""
    lock(gate)
    while _admit_some(gate, now) == _PAGE:
        pass


def _admit_some(gate: str, now: int) -> int:
    """Let in those of the next few that have room; how many."""
    held = _held(gate).select(
        ExecutionRow.id, ExecutionRow.gate_limit, ExecutionRow.bot_id, ExecutionRow.priority
    )
    held = held.order_by(ExecutionRow.priority.desc(), ExecutionRow.id)
    first = fetch(held.limit(_PAGE))
    if not first:
        return 0
    taken = _count(_inside(gate), max(row[1] or 1 for row in first))
    entering = []
    # Each has a limit of its own: one that waits its turn asks for an empty gate.
    for execution_id, limit, bot_id, priority in first:
        if taken >= (limit or 1):
            break
        entering.append((execution_id, (bot_id, priority)))
        taken += 1
    # Only now do they join the queue; the turns they were given when they came have passed.
    turns = take_turns([joining for _, joining in entering], now) if entering else []
    _ADMIT.write(
        (True, now, turn, execution_id)
        for (execution_id, _), turn in zip(entering, turns, strict=True)
    )
    for execution_id, _ in entering:
        announce(execution_id)
    return len(entering)


def with_room() -> list[str]:
    """Gates that hold executions back although there is room; looks at each gate, and no queue."""
    return [gate for (gate,) in database_proxy.execute_sql(WITH_ROOM).fetchall()]


def _inside(gate: str) -> pw.ModelSelect[ExecutionRow]:
    return _live(gate).where(ExecutionRow.admitted)


def _held(gate: str) -> pw.ModelSelect[ExecutionRow]:
    return _live(gate).where(~ExecutionRow.admitted)


def _live(gate: str) -> pw.ModelSelect[ExecutionRow]:
    # Two partial indexes answer this, one for each side of the gate.
    return ExecutionRow.select(ExecutionRow.id).where(
        (ExecutionRow.gate == gate) & ExecutionRow.finished_at.is_null()
    )


def _count(rows: pw.ModelSelect[ExecutionRow], enough: int) -> int:
    """How many rows there are; none is looked at once there are ``enough``."""
    return int(rows.limit(enough).count())
