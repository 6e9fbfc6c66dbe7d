"""Delivering events: to triggers, which start bots, to steps that wait, to webhooks that go out.

A scheduler takes events that nobody has delivered, and in one transaction writes what every
listener makes of them and that they are delivered. So none is lost by a crash, and none is
answered twice: the occurrence's key is the event's id. docs/explanation/events.md tells the rules.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import peewee as pw

from codex32.engine.expressions import evaluate
from codex32.engine.records import gates, waking
from codex32.kernel.database import Door, fetch, is_outage, is_sqlite
from codex32.kernel.errors import Codex32Error
from codex32.kernel.event_names import matches
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import (
    EventRow,
    ExecutionRow,
    StepRow,
    SubscriptionRow,
    database_proxy,
)
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.statuses import StepStatus
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.schedules import TriggerTypes
from codex32.services.events.outbound_deliveries import enqueue
from codex32.services.presentation import iso
from codex32.services.triggers.answering import Answerer, Happening, Question
from codex32.services.triggers.listeners import Listener, event_listeners
from codex32.services.triggers.occurrences import carry_out, first_answers

log = logging.getLogger(__name__)

#: Events that are taken in one transaction, and answers after which no more are.
BATCH = 200
ANSWERS = 1000
#: Asked twice a second, so it is one text.
_PENDING = "SELECT id FROM event WHERE delivered_at IS NULL LIMIT 1"
#: Waits that are over are forgotten this often.
TIDY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """An event to be delivered."""

    id: str
    workspace: str
    name: str
    at: int
    data: JSON
    chain: tuple[str, ...]

    def as_json(self) -> dict[str, JSON]:
        """As steps that waited for it get it."""
        return {"id": self.id, "name": self.name, "at": iso(self.at), "data": self.data}

    def happening(self) -> Happening:
        """As triggers see it."""
        event = {**self.as_json(), "chain": list(self.chain)}
        return Happening(self.id, self.at, {"event": event}, self.chain)


@dataclass(slots=True)
class Routed:
    """What deliveries did: events, waiting executions woken, and decisions of triggers."""

    events: int = 0
    woken: int = 0
    decisions: dict[str, int] = field(default_factory=dict)

    def add(self, other: Routed) -> None:
        """Count what another delivery did, too."""
        self.events += other.events
        self.woken += other.woken
        for decision, count in other.decisions.items():
            self.decisions[decision] = self.decisions.get(decision, 0) + count


class Router:
    """Delivers events.

    Args:
      types: The installed trigger types.
    """

    def __init__(
        self,
        types: TriggerTypes,
        definitions: Definitions,
        payloads: PayloadStore,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._types, self._payloads = types, payloads
        self._answerer = Answerer(definitions, payloads)
        self._monotonic = monotonic
        self._tidied = float("-inf")

    async def run(self, door: Door, now: int) -> Routed:
        """Deliver everything that is there, batch by batch."""
        done = Routed()
        while await door.read(is_pending):
            try:
                routed = await door.write(lambda: self.route(now))
            except Exception as error:
                if is_outage(error):
                    raise
                log.exception("a batch of events failed; delivering them one by one")
                routed = await self._one_by_one(door, now)
            done.add(routed)
            if not routed.events:  # another scheduler has what is left
                break
        if self._monotonic() - self._tidied >= TIDY_SECONDS:
            self._tidied = self._monotonic()
            await tidy(door)
        return done

    def route(self, now: int, only: Sequence[str] = ()) -> Routed:
        """Deliver a batch of events (of the ids ``only``); called in a write."""
        fault_point("events.before_delivery")
        events = _take(only)
        # Read after the events: who began to wait before one of them was there is among these.
        listeners, waits = event_listeners(self._types), _Waits()
        questions: list[Question] = []
        delivered: list[str] = []
        for event in events:
            questions += _questions(event, listeners)
            waits.offer(event)
            delivered.append(event.id)
            if len(questions) + len(waits.answers) >= ANSWERS:
                break
        taken = set(delivered)
        enqueue([event for event in events if event.id in taken], now)
        answers = first_answers(self._answerer.answer(questions, now))
        carry_out(answers, self._payloads, now)
        done = Routed(len(delivered), waits.wake(now))
        for answer in answers:
            done.decisions[answer.decision] = done.decisions.get(answer.decision, 0) + 1
        EventRow.update(delivered_at=now).where(EventRow.id.in_(delivered)).execute()
        fault_point("events.before_commit")
        return done

    async def _one_by_one(self, door: Door, now: int) -> Routed:
        done = Routed()
        columns = EventRow.id, EventRow.workspace
        ids = _pending().select(*columns).order_by(EventRow.seq).limit(BATCH)
        for event_id, workspace in await door.read(fetch, ids):
            try:
                routed: Routed = await door.write(lambda only=event_id: self.route(now, [only]))  # type: ignore[misc]
            except Exception as error:
                if is_outage(error):
                    raise
                told = "event %s cannot be delivered and is put to rest"
                log.exception(told, event_id, extra={"workspace": workspace})
                rest = EventRow.update(delivered_at=now).where(EventRow.id == event_id)
                await door.write(rest.execute)
                done.events += 1
                continue
            if not routed.events:  # another scheduler goes on, in the order of the events
                break
            done.add(routed)
        return done


def is_pending() -> bool:
    """Whether there is an event that nobody has delivered; asks the index alone."""
    return database_proxy.execute_sql(_PENDING).fetchone() is not None


def _pending() -> pw.ModelSelect[EventRow]:
    return EventRow.select().where(EventRow.delivered_at.is_null())


def _take(only: Sequence[str]) -> list[Delivered]:
    """The oldest events; none while another scheduler delivers, for the order would be lost."""
    if not gates.try_lock("events"):
        return []
    query = (
        _pending()
        .select(
            EventRow.id,
            EventRow.workspace,
            EventRow.name,
            EventRow.at,
            EventRow.data,
            EventRow.chain,
        )
        .order_by(EventRow.seq)
        .limit(BATCH)
    )
    if only:
        query = query.where(EventRow.id.in_(list(only)))
    return [
        Delivered(event_id, workspace, name, at, loads(data), tuple(loads(chain)))
        for event_id, workspace, name, at, data, chain in fetch(query)
    ]


def _questions(event: Delivered, listeners: Sequence[Listener]) -> list[Question]:
    happening = event.happening()
    return [
        Question(each.due, each.trigger, happening)
        for each in listeners
        if each.due.workspace == event.workspace and matches(event.name, each.pattern)
    ]


class _Waits:
    """The steps that wait for events, and the answers they get in this transaction."""

    def __init__(self) -> None:
        rows = SubscriptionRow.select().where(SubscriptionRow.answer.is_null())
        self._open = {(row.execution_id, row.step, row.item): row for row in rows}
        self._earlier = {place: set(loads(row.earlier)) for place, row in self._open.items()}
        self.answers: dict[tuple[str, str, int], Delivered] = {}

    def offer(self, event: Delivered) -> None:
        """Let those have it that it fits; each takes the first."""
        fitting = [
            place
            for place, row in self._open.items()
            if row.workspace == event.workspace
            and matches(event.name, row.pattern)
            and event.id not in self._earlier[place]
            and _fits(row, event)
        ]
        for place in fitting:
            self.answers[place] = event
            del self._open[place]

    def wake(self, now: int) -> int:
        """Write the answers and wake the executions; how many."""
        ids = {execution_id for execution_id, _, _ in self.answers}
        if not ids:
            return 0
        if not is_sqlite():
            # In the order in which all lock executions, and before the rows of their waits.
            rows = ExecutionRow.select(ExecutionRow.id).where(ExecutionRow.id.in_(list(ids)))
            fetch(rows.order_by(ExecutionRow.id).for_update())
        for (execution_id, step, item), event in self.answers.items():
            SubscriptionRow.update(answer=dumps(event.as_json())).where(
                (SubscriptionRow.execution_id == execution_id)
                & (SubscriptionRow.step == step)
                & (SubscriptionRow.item == item)
                & SubscriptionRow.answer.is_null()
            ).execute()
        waking.wake(ids, now)
        return len(ids)


def _fits(row: SubscriptionRow, event: Delivered) -> bool:
    if row.condition is None:
        return True
    scope = {"event": event.as_json(), "values": loads(row.given)}
    try:
        return evaluate(row.condition, scope) is True
    except Codex32Error as error:
        # Other events of the name may have other data; that is no fault of the bot.
        log.debug("%s passes over event %s: %s", row.execution_id, event.id, error.message)
        return False


async def tidy(door: Door) -> int:
    """Forget the waits that are over; how many."""
    if not await door.read(lambda: SubscriptionRow.select().where(_over()).exists()):
        return 0
    return int(await door.write(lambda: SubscriptionRow.delete().where(_over()).execute()))


def _over() -> Any:
    """That a step does not wait any more, or that its execution has ended."""
    step = StepRow.select(pw.SQL("1")).where(
        (StepRow.execution_id == SubscriptionRow.execution_id)
        & (StepRow.step == SubscriptionRow.step)
        & (StepRow.item == SubscriptionRow.item)
        & (StepRow.status == StepStatus.WAITING)
    )
    live = ExecutionRow.select(pw.SQL("1")).where(
        (ExecutionRow.id == SubscriptionRow.execution_id) & ExecutionRow.finished_at.is_null()
    )
    return ~pw.fn.EXISTS(step) | ~pw.fn.EXISTS(live)
