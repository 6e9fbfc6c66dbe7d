"""The ledger: every request to a service is a row, and no budget is overdrawn by many at once.

What a request may cost is reserved before it is sent, in all budgets that it counts against; what
it did cost is settled afterwards. All of it is written last in its transaction, and budgets are
locked in the order of their keys: nobody waits in a ring, and a lock is held for an instant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import peewee as pw

from codex32.kernel.clock import from_micros
from codex32.kernel.contracts.llm import Usage
from codex32.kernel.database import Door, announce, fetch, is_sqlite, write_last
from codex32.kernel.events import BudgetExhausted, BudgetWarned
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import dumps, loads
from codex32.kernel.spending_rows import BudgetRow, ModelAnswerRow, ModelAttemptRow
from codex32.services.ai.money import usd
from codex32.services.ai.spending import called

#: Shares of a budget (percent) at which people are warned.
WARN_AT = (50, 80)
#: Most leases that one look ends.
ROUND = 500


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be spent in one scope and period (nano-USD).

    Attributes:
      key: Scope and period, such as ``workspace:default 2026-11``.
    """

    key: str
    nano: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that is about to be made.

    Attributes:
      row: The columns of its row, but for those that the ledger fills in.
      limits: What it counts against.
      worst_nano: The most it can cost.
    """

    id: str
    row: dict[str, object]
    limits: Sequence[Limit]
    worst_nano: int
    now: int
    lease_until: int


@dataclass(slots=True)
class Reservation:
    """What became of a reservation; known once its transaction is over.

    Attributes:
      refused: The limit that left too little, or None.
      left_nano: What it left.
    """

    attempt: Attempt
    refused: Limit | None = None
    left_nano: int = 0


State: TypeAlias = Literal["settled", "assumed", "released"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a request ended.

    Attributes:
      cost_nano: What it cost; None where the service did not say: what was reserved counts.
      answer: Key, execution and packed text of what was bought, to be kept with it.
    """

    attempt_id: str
    state: State
    now: int
    cost_nano: int | None = None
    usage: Usage | None = None
    fault: str | None = None
    answered_by: str = ""
    request_id: str = ""
    answer: tuple[str, str, str] | None = None


@dataclass(slots=True)
class _Book:
    """The budgets that one transaction touches, locked."""

    rows: dict[str, BudgetRow]
    #: Whose budgets of bots they are.
    owners: dict[str, str] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


async def reserve(door: Door, attempt: Attempt) -> Reservation:
    """Reserve what ``attempt`` may cost in all its budgets, or in none."""
    return await door.write_many(_reserve, attempt)


def _reserve(attempts: Sequence[Attempt]) -> list[Reservation]:
    reservations = [Reservation(attempt) for attempt in attempts]
    for each in reservations:
        write_last(post, each)
    return reservations


async def settle(door: Door, settlement: Settlement) -> None:
    """Write how a request ended, in the budgets in which it was reserved."""
    await door.write_many(settle_all, settlement, patience_seconds=None)


def settle_all(settlements: Sequence[Settlement]) -> list[None]:
    """As :func:`settle`, for ``Door.post`` and within other writes."""
    for each in settlements:
        write_last(post, each)
    return [None] * len(settlements)


def post(entries: Sequence[Reservation | Settlement]) -> None:
    """Write what comes together: first what frees money, then what wants some."""
    settlements = [each for each in entries if isinstance(each, Settlement)]
    reservations = [each for each in entries if isinstance(each, Reservation)]
    # Two may find the same one at once. Attempts are locked before budgets, by all.
    known = _attempts([each.attempt_id for each in settlements], locked=True)
    there = _attempts([each.attempt.id for each in reservations])
    limits = {limit.key: limit for each in reservations for limit in each.attempt.limits}
    keys = {key for row in known.values() for key in loads(row.budgets)} | set(limits)
    now = max(_moment(each) for each in entries)
    book = _Book(_locked(sorted(keys), limits, now))
    for settlement in settlements:
        if (row := known.get(settlement.attempt_id)) is not None:
            _settle(book, row, settlement)
    for reservation in reservations:
        # After a commit whose answer was lost, it is all there already.
        if reservation.attempt.id not in there:
            _admit(book, reservation)
    for key in sorted(book.changed):
        budget = book.rows[key]
        _warn(book, budget, now)
        budget.updated_at = now
        budget.save()
    fault_point("ledger.before_commit")


def _moment(entry: Reservation | Settlement) -> int:
    return entry.now if isinstance(entry, Settlement) else entry.attempt.now


def _attempts(ids: Sequence[str], *, locked: bool = False) -> dict[str, ModelAttemptRow]:
    if not ids:
        return {}
    rows = ModelAttemptRow.select().where(ModelAttemptRow.id.in_(list(ids)))
    if locked and not is_sqlite():
        rows = rows.order_by(ModelAttemptRow.id).for_update()
    return {row.id: row for row in rows}


def _locked(keys: Sequence[str], limits: dict[str, Limit], now: int) -> dict[str, BudgetRow]:
    """The rows of budgets, made where they are missing; in the order of their keys."""
    if not keys:
        return {}
    query = BudgetRow.select().where(BudgetRow.key.in_(list(keys))).order_by(BudgetRow.key)
    there = {key for (key,) in fetch(query.select(BudgetRow.key))}
    fresh = [
        {
            "key": key,
            "limit_nano": limits[key].nano,
            "spent_nano": _spent_before(key),
            "updated_at": now,
        }
        for key in keys
        if key in limits and key not in there
    ]
    if fresh:
        BudgetRow.insert_many(fresh).on_conflict_ignore().execute()
    if not is_sqlite():
        query = query.for_update()
    return {row.key: row for row in query}


def _spent_before(key: str) -> int:
    """What was spent in a scope and period before anybody set a limit to it.

    What is under way counts as it was reserved: its end will not find the new budget.
    """
    row = ModelAttemptRow
    scope, _, period = key.partition(" ")
    kind, _, whose = scope.partition(":")
    if not period:
        return 0  # an execution is limited from its beginning, or never
    of = {"bot": row.bot_id == whose, "workspace": row.workspace == whose}.get(kind, True)
    cost = pw.Case(None, [(row.state == "reserved", row.reserved_nano)], row.cost_nano)
    # A month is all its days: texts that begin as it does.
    within = row.day.between(period, f"{period}-99")
    return int(row.select(pw.fn.SUM(cost)).where(within & of).scalar() or 0)


def _settle(book: _Book, row: ModelAttemptRow, entry: Settlement) -> None:
    """Move what was reserved to what was spent; what is settled stays so."""
    if row.state in ("settled", "released"):
        return
    if row.state == "assumed" and entry.state == "assumed":
        return
    cost = 0 if entry.state == "released" else entry.cost_nano
    before = row.cost_nano if row.state == "assumed" else 0
    reserved = 0 if row.state == "assumed" else row.reserved_nano
    cost = row.reserved_nano if cost is None else cost
    for key in loads(row.budgets):
        if (budget := book.rows.get(key)) is not None:
            budget.spent_nano += cost - before
            budget.reserved_nano -= reserved
            book.owners[key] = row.workspace
            book.changed.add(key)
    usage = entry.usage or Usage(0, 0)
    ModelAttemptRow.update(
        state=entry.state,
        cost_nano=cost,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        fault=entry.fault,
        answered_by=entry.answered_by[:200],
        request_id=entry.request_id[:200],
        ended_at=entry.now,
        lease_until=None,
    ).where(ModelAttemptRow.id == row.id).execute()
    row.state, row.cost_nano = entry.state, cost  # another end of it may come in the same commit
    if entry.answer is not None:
        key, execution_id, text = entry.answer
        ModelAnswerRow.insert(
            key=key,
            execution_id=execution_id,
            attempt_id=row.id,
            answer=text,
            created_at=entry.now,
        ).on_conflict_ignore().execute()


def _admit(book: _Book, reservation: Reservation) -> None:
    attempt = reservation.attempt
    for limit in attempt.limits:
        row = book.rows[limit.key]
        if row.limit_nano != limit.nano:
            row.limit_nano = limit.nano
            # Whoever raised the limit is warned anew of what is reached of it.
            row.warned = min(row.warned, _reached(row))
            book.changed.add(limit.key)
        book.owners[limit.key] = str(attempt.row["workspace"])
        left = limit.nano - row.spent_nano - row.reserved_nano
        # What costs nothing passes, however little is left.
        if attempt.worst_nano and attempt.worst_nano > left:
            reservation.refused, reservation.left_nano = limit, max(left, 0)
            book.changed.add(limit.key)
            # Where less is spent, the request was too large, or others hold what they will not
            # need: smaller ones pass, and people are still to be warned.
            if _reached(row) >= WARN_AT[-1]:
                _exhaust(book, row, attempt.now)
            return
    for limit in attempt.limits:
        book.rows[limit.key].reserved_nano += attempt.worst_nano
        book.changed.add(limit.key)
    ModelAttemptRow.insert(
        id=attempt.id,
        state="reserved",
        budgets=dumps([limit.key for limit in attempt.limits]),
        reserved_nano=attempt.worst_nano,
        started_at=attempt.now,
        lease_until=attempt.lease_until,
        **attempt.row,
    ).execute()


def _warn(book: _Book, row: BudgetRow, now: int) -> None:
    """Tell once of each share that was reached."""
    if row.limit_nano <= 0:
        return
    reached = _reached(row)
    if reached >= 100:
        _exhaust(book, row, now)
    elif reached > row.warned:
        row.warned = reached
        told = BudgetWarned(
            at=from_micros(now),
            workspace=_workspace(book, row.key),
            budget=called([row])[0],
            percent=reached,
            spent_usd=usd(row.spent_nano),
            limit_usd=usd(row.limit_nano),
        )
        announce(told)


def _reached(row: BudgetRow) -> int:
    """The highest of the shares that people are told of which is spent (percent)."""
    percent = row.spent_nano * 100 // row.limit_nano if row.limit_nano > 0 else 100
    return max((share for share in (*WARN_AT, 100) if percent >= share), default=0)


def _exhaust(book: _Book, row: BudgetRow, now: int) -> None:
    # One execution that has used up what it may is told of by its own failure.
    if row.warned >= 100 or row.key.startswith("execution:"):
        return
    row.warned = 100
    told = BudgetExhausted(
        at=from_micros(now),
        workspace=_workspace(book, row.key),
        budget=called([row])[0],
        spent_usd=usd(row.spent_nano),
        limit_usd=usd(row.limit_nano),
    )
    announce(told)


def _workspace(book: _Book, key: str) -> str:
    """In which workspace a budget is told of; in none where it is the installation's."""
    return "" if key.startswith("house ") else book.owners.get(key, "")


# the reaper


def _lapsed(now: int) -> Iterator[str]:
    state, lease = ModelAttemptRow.state, ModelAttemptRow.lease_until
    query = ModelAttemptRow.select(ModelAttemptRow.id).where((state == "reserved") & (lease < now))
    yield from (row[0] for row in fetch(query.limit(ROUND)))


async def reap(door: Door, now: int) -> int:
    """Take for spent what those reserved who died meanwhile; how many requests that was.

    Whether the service counted them nobody here can know, so the budget errs on the safe side.
    """
    lapsed = await door.read(lambda: list(_lapsed(now)))
    if lapsed:
        ends = [Settlement(each, "assumed", now, fault="lost") for each in lapsed]
        await door.write(lambda: settle_all(ends))
    return len(lapsed)
