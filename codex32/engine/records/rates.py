"""Rate limits over all workers: one row a resource, from which every start takes its slot.

Whoever must wait is told until when and asks no more; what asks at the same time shares one
statement and one commit. The clock is that of the processes, as it is for leases: machines whose
clocks differ by more than some seconds do not keep a limit together.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from codex32.engine.expressions import Template
from codex32.engine.records.slots import Rule, Slots
from codex32.kernel.batches import Insert
from codex32.kernel.bot import Rate
from codex32.kernel.clock import Clock, from_micros
from codex32.kernel.database import Door, is_sqlite
from codex32.kernel.json_values import JSON, canonical, dumps, loads
from codex32.kernel.models import RateRow

#: A wait that is no longer is slept in the worker; a longer one ends this much early, and the
#: rest is slept, since nobody is woken to the millisecond.
NEAR_MICROS = 1_000_000
#: Keys that are longer, or hold what a database may refuse, stand as their digests.
_LONGEST_KEY = 200
#: How the message of an execution begins that waits for its slot.
RATE_WAIT = "waits for rate limit"
_ROWS = Insert(
    RateRow,
    ("key", "rule_limit", "rule_micros", "slots", "asked_at", "free_at"),
    replace=True,
)


@dataclass(frozen=True, slots=True)
class Ask:
    """The wish to start, of one step or execution, ``now`` (microseconds)."""

    key: str
    rule: Rule
    now: int


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A slot that will not be used."""

    key: str
    slot: int
    now: int


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate limit of a bot or a step, with its key.

    Attributes:
      own: Its key where the file names none.
    """

    rule: Rule
    own: str
    key: Template | None

    @classmethod
    def of(cls, rate: Rate, own: str, key: Template | None) -> Limit:
        """The limit that ``rate`` describes."""
        return cls(Rule(rate.limit, round(rate.per_seconds * 1e6)), own, key)

    def name(self, workspace: str, scope: Mapping[str, JSON]) -> str:
        """Which resource it is; workspaces share none.

        Raises:
          ExpressionFault: The key cannot be told from ``scope``.
        """
        if self.key is None:
            return f"{workspace}:{self.own}"
        value = self.key.evaluate(scope)
        text = value if isinstance(value, str) else canonical(value)
        if len(text) > _LONGEST_KEY or not text.isprintable():
            text = hashlib.sha256(canonical(text).encode()).hexdigest()
        return f"{workspace}:key:{text}"


async def turn(door: Door, clock: Clock, key: str, rule: Rule, slot: int | None) -> int | None:
    """Wait until one may start, if that is soon.

    Args:
      door: The database.
      clock: The process's.
      key: The resource.
      rule: At most how many in which time.
      slot: The one taken before, if there is one. It is lost if its moment passed unused, as
        it does while all workers are down: starts that were spread would else come at once.

    Returns:
      None where one may start now; else the slot, which is more than ``NEAR_MICROS`` ahead.
    """
    while True:
        if slot is None:
            ask = Ask(key, rule, clock.micros())
            slot = await door.write_many(reserve, ask, patience_seconds=None)
        left = slot - clock.micros()
        if left > NEAR_MICROS:
            return slot
        if left > 0:
            await asyncio.sleep(left / 1e6)
        if clock.micros() - slot <= rule.grace_micros:
            return None
        slot = None


def of_target(
    workspace: str, told: tuple[str, str] | None, rate_of: Callable[[str], Rate | None]
) -> tuple[str, Rule] | None:
    """The key and rule of the limit that a notifier has for a target, if it has one.

    A target often is a secret, so the key holds its digest alone.
    """
    if told is None or (rate := rate_of(told[0])) is None:
        return None
    digest = hashlib.sha256("\0".join(told).encode(errors="replace")).hexdigest()[:16]
    rule = Rule(rate.limit, round(rate.per_seconds * 1e6))
    return f"{workspace}:target:{told[0]} {digest}", rule


def waiting_text(key: str, slot: int) -> str:
    """What people read of a start that waits for its slot."""
    return f"{RATE_WAIT} {key.partition(':')[2]} until {from_micros(slot):%Y-%m-%dT%H:%M:%SZ}"


def reserve(asks: Sequence[Ask]) -> list[int]:
    """The slot of each. A batch for ``Door.write_many``."""
    found = _locked({ask.key for ask in asks})
    rules = {ask.key: ask.rule for ask in asks}
    taken = [found[ask.key].take(ask.rule, ask.now) for ask in asks]
    _write(found, rules)
    return taken


def give_back(items: Sequence[GivenBack]) -> list[None]:
    """Let others have slots that are not needed any more. A batch for ``Door.post``."""
    wanted = {item.key for item in items}
    rows = {row.key: row for row in RateRow.select().where(RateRow.key.in_(list(wanted)))}
    found = _locked(set(rows))
    for item in items:
        if item.key in found:
            found[item.key].give_back(item.slot, item.now)
    rules = {row.key: Rule(row.rule_limit, row.rule_micros) for row in rows.values()}
    _write(found, rules)
    return [None] * len(items)


def slots_of(row: RateRow) -> Slots:
    """What the row remembers."""
    return Slots(**loads(row.slots), asked_at=row.asked_at, free_at=row.free_at)


def _locked(keys: set[str]) -> dict[str, Slots]:
    """The rows of ``keys``, held until the transaction ends; new ones are made."""
    found = _select(keys)
    missing = sorted(keys - found.keys())
    if missing and not is_sqlite():
        # Two who make the same row at once must not both believe that it is new.
        RateRow.insert_many(
            [(key, 1, 1, dumps(Slots().as_json()), 0, 0) for key in missing]
        ).on_conflict_ignore().execute()
        found |= _select(set(missing))
    return found | {key: Slots() for key in missing if key not in found}


def _select(keys: set[str]) -> dict[str, Slots]:
    query = RateRow.select().where(RateRow.key.in_(list(keys))).order_by(RateRow.key)
    if not is_sqlite():
        query = query.for_update()
    return {row.key: slots_of(row) for row in query}


def _write(found: Mapping[str, Slots], rules: Mapping[str, Rule]) -> None:
    _ROWS.write(
        [
            (
                key,
                rules[key].limit,
                rules[key].per_micros,
                dumps(slots.as_json()),
                slots.asked_at,
                slots.free_at,
            )
            for key, slots in found.items()
        ]
    )
