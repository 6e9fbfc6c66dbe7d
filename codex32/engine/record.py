"""What the engine writes: claims, the record of steps, the ends of attempts.

All of it is conditional. A claim takes an execution that is ``queued``; everything after is
accepted only from the worker and the attempt that hold the claim, so that a worker which lost
its lease, without knowing, changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from codex32.engine import approvals, awaiting, gates, waking
from codex32.engine.awaiting import Subscription
from codex32.engine.turns import take_turns
from codex32.kernel.batches import Insert, Update, any_of, listed, write_all
from codex32.kernel.database import announce, fetch, is_sqlite
from codex32.kernel.events import Event
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import (
    AttemptRow,
    ExecutionRow,
    LogLineRow,
    StateRow,
    StepRow,
    database_proxy,
)
from codex32.kernel.statuses import FINAL, Status

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
)


#: Waiting executions that are queued at once, at most.
WAKE = 500
_WAKE = Update(
    ExecutionRow, ("id",), ("status", "message", "turn"), guard="execution.status = 'waiting'"
)


@dataclass(slots=True)
class Claim:
    """An execution that this worker may now run, until its lease ends. Times in microseconds."""

    id: str
    bot_id: str
    bot_name: str
    version_id: str
    version_number: int
    inputs: str
    trigger: str
    attempt: int
    active_micros: int
    started_at: int
    attempt_at: int
    parent_id: str | None
    depth: int
    gate: str | None
    closing: str | None
    cancel_at: int | None
    priority: int
    worker: str
    rate_at: int | None = None
    lineage: str | None = None
    state: dict[str, JSON] = field(default_factory=dict)


def take(
    worker: str,
    limit: int,
    now: int,
    lease_micros: int,
    only: Sequence[str] = (),
    but: Sequence[str] = (),
) -> list[Claim]:
    """Claim up to ``limit`` executions that may run, most urgent first.

    Args:
      worker: Who claims.
      limit: Most executions that are claimed.
      now: The present, in microseconds.
      lease_micros: How long the claims hold without a heartbeat.
      only: Ids to choose from; empty for all.
      but: Bots whose executions are left for now.
    """
    mark, lock = ("?", "") if is_sqlite() else ("%s", " FOR UPDATE SKIP LOCKED")
    chosen = f" AND {any_of('id')}" if only else ""
    chosen += f" AND NOT {any_of('bot_id')}" if but else ""
    choice = [listed(each) for each in (only, but) if each]
    cursor = database_proxy.execute_sql(
        "UPDATE execution SET status = 'running', ready_at = NULL, attempt = attempt + 1, "  # noqa: S608
        f"worker = {mark}, lease_at = {mark}, attempt_at = {mark}, "
        f"started_at = COALESCE(started_at, {mark}) "
        "WHERE id IN (SELECT id FROM execution WHERE status = 'queued' AND ready_at IS NOT NULL"
        f"{chosen} ORDER BY priority DESC, turn LIMIT {mark}{lock}) "
        f"RETURNING {', '.join(_CLAIM_COLUMNS)}, "
        "EXISTS (SELECT 1 FROM state WHERE state.bot_id = execution.bot_id)",
        (worker, now + lease_micros, now, now, *choice, limit),
    )
    rows = cursor.fetchall()
    claims = [Claim(*row[:-1]) for row in rows]
    _add_state([claim for claim, row in zip(claims, rows, strict=True) if row[-1]])
    claims.sort(key=lambda claim: (-claim.priority, claim.id))
    return claims


def wake(now: int) -> int:
    """Queue waiting executions whose time has come, and let workers know; how many."""
    mark, lock = ("?", "") if is_sqlite() else ("%s", " FOR UPDATE SKIP LOCKED")
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


class StepRecord(NamedTuple):
    """A step, or an item of it, as it shall stand in its row. Texts are packed JSON."""

    step: str
    item: int
    status: str
    tries: int
    input: str | None
    output: str | None
    error: str | None
    effect: str
    note: str | None
    started_at: int | None
    finished_at: int | None


class LogLine(NamedTuple):
    """A log line of an execution; ``fields`` is packed JSON."""

    step: str
    item: int
    at: int
    level: str
    message: str
    fields: str | None = None


@dataclass(slots=True)
class End:
    """How an attempt ended, and where the execution stands after it.

    Attributes:
      status: A final status, ``waiting``, or ``queued`` where the worker gives it back.
      ready_at: For ``waiting``: when to go on, or None until something wakes it.
      awaiting: For ``waiting``: the steps and items that wait for events.
    """

    status: str
    at: int
    outcome: str
    cause: str | None = None
    message: str = ""
    output: str | None = None
    ready_at: int | None = None
    awaiting: Collection[tuple[str, int]] = ()


@dataclass(slots=True)
class Advance:
    """What one execution has to record now, all of it or nothing.

    Attributes:
      rate_at: Its slot of its bot's rate limit, which it waits for.
      asks: What its steps ask people from now on.
      asked: It has asked people before: what of that is still open ends with the steps that
        end here, or with the execution.
      awaits: Where it begins to wait: the ids of the approvals it waits for.
    """

    claim: Claim
    steps: Sequence[StepRecord] = ()
    logs: Sequence[LogLine] = ()
    state: Mapping[str, str | None] = field(default_factory=dict)
    closing: str | None = None
    rate_at: int | None = None
    end: End | None = None
    events: Sequence[Event] = ()
    asks: Sequence[approvals.Asked] = ()
    asked: bool = False
    awaits: Sequence[str] = ()
    subscriptions: Sequence[Subscription] = ()


#: Steps as they stand; a retry takes over what its predecessor finished.
STEPS = Insert(StepRow, ("execution_id", *StepRecord._fields), replace=True)
LOGS = Insert(LogLineRow, ("execution_id", *LogLine._fields))
#: Ended attempts: a worker writes its own, recovery those of workers that are gone.
ATTEMPTS = Insert(
    AttemptRow, ("execution_id", "number", "worker", "started_at", "ended_at", "outcome")
)
_STATE = Insert(StateRow, ("bot_id", "key", "value", "updated_at"), replace=True)
_ENDS = Update(
    ExecutionRow,
    keys=("id", "attempt", "worker"),
    columns=(
        "status",
        "cause",
        "message",
        "output",
        "ready_at",
        "finished_at",
        "active_micros",
        "lease_at",
    ),
    guard="execution.status = 'running'",
)


def advance(items: Sequence[Advance]) -> list[bool]:
    """Record what many executions have to say; False for one whose claim is no longer held."""
    held = _held(items)
    ours = [item for item in items if item.claim.id in held]
    ended = [item for item in ours if item.end is not None]
    # A step's "running" and its end may meet in one commit: the later one counts.
    steps = {(i.claim.id, s.step, s.item): (i.claim.id, *s) for i in ours for s in i.steps}
    write_all(
        (STEPS, list(steps.values())),
        (LOGS, [(i.claim.id, *line) for i in ours for line in i.logs]),
        (ATTEMPTS, [_attempt(item) for item in ended]),
    )
    for item in ours:
        if item.state:
            _write_state(item)
        if item.closing is not None:
            # A cancellation is heeded by now; another one would cut the closing steps short.
            ExecutionRow.update(closing=item.closing, cancel_at=None).where(
                ExecutionRow.id == item.claim.id
            ).execute()
        if item.rate_at is not None:
            ExecutionRow.update(rate_at=item.rate_at).where(
                ExecutionRow.id == item.claim.id
            ).execute()
        if item.subscriptions:
            awaiting.subscribe(item.subscriptions)
    _after_ends(ended)
    if concerned := [item for item in ours if item.asks or item.asked or item.awaits]:
        approvals.follow(concerned)
    for item in ours:
        for event in item.events:
            announce(event)
    return [item.claim.id in held for item in items]


def _held(items: Sequence[Advance]) -> set[str]:
    """The ids whose claims still hold; executions that end are moved in the same breath."""
    held = _ENDS.write([_end_values(item) for item in items if item.end is not None])
    going_on = {item.claim.id: item.claim for item in items if item.end is None}
    if going_on:
        lock = "" if is_sqlite() else " ORDER BY id FOR UPDATE"
        rows = database_proxy.execute_sql(
            "SELECT id, attempt, worker FROM execution "  # noqa: S608
            f"WHERE {any_of('id')} AND status = 'running'{lock}",
            (listed(going_on),),
        )
        for row_id, attempt, worker in rows.fetchall():
            claim = going_on[row_id]
            if (claim.attempt, claim.worker) == (attempt, worker):
                held.add(row_id)
    return held


def _attempt(item: Advance) -> tuple[Any, ...]:
    end, claim = item.end, item.claim
    assert end is not None
    return (claim.id, claim.attempt, claim.worker, claim.attempt_at, end.at, end.outcome)


def _end_values(item: Advance) -> tuple[Any, ...]:
    end, claim = item.end, item.claim
    assert end is not None
    return (
        end.status,
        end.cause,
        end.message,
        end.output,
        end.ready_at,
        end.at if end.status in FINAL else None,
        claim.active_micros + max(end.at - claim.attempt_at, 0),
        None,
        claim.id,
        claim.attempt,
        claim.worker,
    )


def _write_state(item: Advance) -> None:
    bot_id, now = item.claim.bot_id, item.end.at if item.end else item.steps[-1].finished_at
    _STATE.write([(bot_id, k, v, now) for k, v in item.state.items() if v is not None])
    gone = [key for key, value in item.state.items() if value is None]
    if gone:
        StateRow.delete().where((StateRow.bot_id == bot_id) & StateRow.key.in_(gone)).execute()


def _after_ends(items: Sequence[Advance]) -> None:
    parents, gate_names = set(), set()
    waiting: list[str] = []
    now = 0
    for item in items:
        claim, end = item.claim, item.end
        assert end is not None
        now = max(now, end.at)
        if end.status in FINAL:
            if claim.parent_id:
                parents.add(claim.parent_id)
            if claim.gate:
                gate_names.add(claim.gate)
        elif end.status == Status.QUEUED:
            announce(claim.id)
        else:
            waiting.append(claim.id)
            if end.ready_at is None:
                waking.wake_if_child_ended(claim.id, claim.attempt_at, end.at)
            if end.awaiting:
                awaiting.wake_if_answered(claim.id, end.awaiting, end.at)
    if waiting:
        waking.wake_cancelled(waiting, now)
    settle(parents, gate_names, now)


def settle(parents: set[str], gate_names: set[str], now: int) -> None:
    """Do for others what follows from the end of executions: wake parents, open gates."""
    if parents:
        wake_parents(parents, now)
    for gate in sorted(gate_names):
        gates.admit(gate, now)


def wake_parents(ids: set[str], now: int) -> None:
    """Queue waiting executions one of whose children has ended."""
    rows = ExecutionRow.select(ExecutionRow.id, ExecutionRow.status).where(
        ExecutionRow.id.in_(list(ids))
    )
    if not is_sqlite():
        # A parent that is just going to wait is waited for: else both would look too early.
        rows = rows.order_by(ExecutionRow.id).for_update()
    for row_id, row_status in fetch(rows):
        if row_status == Status.WAITING:
            ExecutionRow.update(status=Status.QUEUED, ready_at=now).where(
                ExecutionRow.id == row_id
            ).execute()
            announce(row_id)
