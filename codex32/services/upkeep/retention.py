"""Letting go of old history, a little at a time, so that nobody waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import peewee as pw

from codex32.kernel.database import Door, fetch
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import (
    ApprovalRow,
    AttemptRow,
    BotRow,
    EventRow,
    ExecutionRow,
    LogLineRow,
    OccurrenceRow,
    RateRow,
    SeenRow,
    StepRow,
    SubscriptionRow,
    VersionRow,
)
from codex32.kernel.outbound_rows import DeliveryAttemptRow, DeliveryRow, EndpointRow
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.spending_rows import ModelAnswerRow
from codex32.kernel.statuses import FINAL, Status
from codex32.kernel.text import parse_duration
from codex32.kernel.waiting_rows import WAITING_ROWS
from codex32.services.access import ended
from codex32.services.safe import requests

log = logging.getLogger(__name__)

#: Executions, or other rows, that are deleted in one transaction.
CHUNK = 500
#: Bots that are looked at with one query: most of them have nothing to let go.
BOTS = 500
_DAY_SECONDS = 86400.0
#: Rows that go with their execution.
_OF_AN_EXECUTION: tuple[type[Any], ...] = (
    StepRow,
    ApprovalRow,
    AttemptRow,
    LogLineRow,
    SubscriptionRow,
    ModelAnswerRow,
    *WAITING_ROWS,
)
#: Rate limits are kept this long after they are free, for people who look.
_RATE_MICROS = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How long history is kept.

    Attributes:
      days: By final status; None, or no entry, is for ever. A bot's ``retention`` goes before.
      keep_last: Executions of each bot that are kept whatever their age.
      dead_letter_days: Executions that failed, and that nobody has retried or dismissed, are kept
        at least this long, whatever the others say; None for ever.
      occurrence_days: How long the answers of triggers are kept; None for ever.
      event_days: How long events are kept once they are delivered; None for ever.
      delivery_days: How long deliveries of webhooks are kept once they are over; None for ever.
    """

    days: Mapping[str, float | None]
    keep_last: int = 50
    dead_letter_days: float | None = 90.0
    occurrence_days: float | None = 30.0
    event_days: float | None = 7.0
    delivery_days: float | None = 30.0


@dataclass(slots=True)
class Pruned:
    """How many rows of each kind were let go."""

    executions: int = 0
    occurrences: int = 0
    seen: int = 0
    rates: int = 0
    events: int = 0
    sign_ins: int = 0
    deliveries: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a bot lets go.

    Attributes:
      about: Its workspace and name, for the log.
      before: Until when (microseconds) executions must have ended, by status.
      youngest: The newest execution that is not among the last ones, which are kept; None where
        there are no others.
      occurrences: Whether answers of its triggers are too old.
      letters_before: As ``before``, for dead letters, if their own limit lets go of them at all.
    """

    bot_id: str
    about: Mapping[str, str]
    before: Mapping[str, int]
    youngest: str | None
    occurrences: bool
    letters_before: int | None


async def prune(door: Door, limits: Limits, payloads: PayloadStore, now: int) -> Pruned:
    """Delete what is older than its limit; live executions are never touched."""
    done, after = Pruned(), ""
    while rules := await door.read(_rules, limits, now, after):
        after = rules[-1].bot_id
        for rule in rules:
            await _apply(door, rule, payloads, done)
            if rule.occurrences:
                before = _occurrences_before(limits, now)
                done.occurrences += await _delete_occurrences(door, rule.bot_id, before)
    done.seen = await _delete_seen(door, now)
    done.rates = await _delete_rates(door, now)
    done.requests = await requests.prune(door, now)
    if limits.event_days is not None:
        before = now - int(limits.event_days * _DAY_SECONDS * 1e6)
        done.events = await _delete_events(door, before)
    done.sign_ins = await ended.prune(door, now)
    if limits.delivery_days is not None:
        before = now - int(limits.delivery_days * _DAY_SECONDS * 1e6)
        done.deliveries = await _delete_deliveries(door, before)
    return done


async def _apply(door: Door, rule: _Rule, payloads: PayloadStore, done: Pruned) -> None:
    """Let go of a bot's old executions."""
    if rule.youngest is None or not rule.before:
        return
    while ids := await door.read(_expired, rule):
        letters = await door.write(lambda ids=ids: delete_executions(ids))  # type: ignore[misc]
        if letters:
            told, about = "%d dead letters of %s are too old to be kept", rule.about
            log.warning(told, letters, about["bot"], extra=about)
        await asyncio.to_thread(delete_files, payloads, ids)
        done.executions += len(ids)


def _rules(limits: Limits, now: int, after: str) -> list[_Rule]:
    """What the next ``BOTS`` bots let go, by id; indexes answer it, bot by bot."""
    mine = ExecutionRow.select(ExecutionRow.id).where(ExecutionRow.bot_id == BotRow.id)
    youngest = mine.order_by(ExecutionRow.id.desc()).offset(limits.keep_last).limit(1)
    old = OccurrenceRow.select(pw.SQL("1")).where(
        (OccurrenceRow.bot_id == BotRow.id)
        & (OccurrenceRow.evaluated_at < _occurrences_before(limits, now))
    )
    rows = fetch(
        BotRow.select(
            BotRow.id,
            BotRow.workspace,
            BotRow.name,
            VersionRow.document,
            youngest,
            pw.fn.EXISTS(old),
        )
        .join(VersionRow, pw.JOIN.LEFT_OUTER, on=(VersionRow.id == BotRow.active_version_id))
        .where(BotRow.id > after)
        .order_by(BotRow.id)
        .limit(BOTS)
    )
    letters = limits.dead_letter_days
    letters_before = None if letters is None else now - int(letters * _DAY_SECONDS * 1e6)
    rules = []
    for bot_id, workspace, name, document, newest, occurrences in rows:
        seconds = {
            status: days * _DAY_SECONDS for status, days in limits.days.items() if days is not None
        }
        if document and '"retention"' in document:
            seconds.update(_own(loads(document).get("retention")))
        before = {status: now - int(value * 1e6) for status, value in seconds.items()}
        about = {"workspace": workspace, "bot": name}
        rules.append(_Rule(bot_id, about, before, newest, bool(occurrences), letters_before))
    return rules


def _occurrences_before(limits: Limits, now: int) -> int:
    """Answers that were given earlier are let go; 0 where they are kept for ever."""
    days = limits.occurrence_days
    return 0 if days is None else now - int(days * _DAY_SECONDS * 1e6)


def _own(retention: JSON) -> dict[str, float]:
    """What a bot says itself, in seconds: a duration for all, or one a status."""
    if isinstance(retention, str):
        return dict.fromkeys((status.value for status in FINAL), parse_duration(retention))
    return {status: parse_duration(text) for status, text in (retention or {}).items()}


def _expired(rule: _Rule) -> list[str]:
    """A chunk of executions that a rule lets go, oldest first."""
    assert rule.youngest is not None
    over = [
        (ExecutionRow.status == status) & (ExecutionRow.finished_at < before)
        for status, before in rule.before.items()
    ]
    spared = (ExecutionRow.status == Status.FAILED) & ExecutionRow.settled.is_null()
    if rule.letters_before is not None:
        spared &= ExecutionRow.finished_at >= rule.letters_before
    # Ids sort by time, so that what is too young is not even read.
    bound = new_id("exe", now=lambda: max(rule.before.values()) / 1e6)
    query = (
        ExecutionRow.select(ExecutionRow.id)
        .where(
            (ExecutionRow.bot_id == rule.bot_id) & (ExecutionRow.id <= min(rule.youngest, bound))
        )
        .where(reduce(or_, over) & ~spared)
        .order_by(ExecutionRow.id)
        .limit(CHUNK)
    )
    return [row[0] for row in fetch(query)]


def delete_executions(ids: Sequence[str]) -> int:
    """Delete executions with all that belongs to them; how many of them were dead letters."""
    mine = ExecutionRow.id.in_(ids)
    failed = (ExecutionRow.status == Status.FAILED) & ExecutionRow.settled.is_null()
    letters = ExecutionRow.select().where(mine & failed).count()
    for kind in _OF_AN_EXECUTION:
        kind.delete().where(kind.execution_id.in_(ids)).execute()
    ExecutionRow.delete().where(mine & ExecutionRow.finished_at.is_null(False)).execute()
    return int(letters)


def delete_files(payloads: PayloadStore, ids: Sequence[str]) -> None:
    """Remove what long values executions left in files."""
    for execution_id in ids:
        payloads.remove(execution_id)


async def _delete_occurrences(door: Door, bot_id: str, before: int) -> int:
    old = (OccurrenceRow.bot_id == bot_id) & (OccurrenceRow.evaluated_at < before)
    chunk = OccurrenceRow.select(OccurrenceRow.id).where(old).limit(CHUNK)
    done = 0
    while ids := await door.read(lambda: [row[0] for row in fetch(chunk)]):
        work = OccurrenceRow.delete().where(OccurrenceRow.id.in_(ids))
        done += await door.write(work.execute)
    return done


async def _delete_events(door: Door, before: int) -> int:
    """Events that were delivered long ago; those that were not are never let go."""
    old = EventRow.delivered_at.is_null(False) & (EventRow.delivered_at < before)
    chunk = EventRow.select(EventRow.id).where(old).limit(CHUNK)
    done = 0
    while ids := await door.read(lambda: [row[0] for row in fetch(chunk)]):
        work = EventRow.delete().where(EventRow.id.in_(ids))
        done += await door.write(work.execute)
    return done


async def _delete_deliveries(door: Door, before: int) -> int:
    """Deliveries that ended long ago, or whose endpoint went as they came, with their attempts."""
    old = DeliveryRow.finished_at.is_null(False) & (DeliveryRow.finished_at < before)
    endpoint = EndpointRow.select(pw.SQL("1")).where(EndpointRow.id == DeliveryRow.endpoint_id)
    over = old | ~pw.fn.EXISTS(endpoint)
    chunk = DeliveryRow.select(DeliveryRow.id).where(over).limit(CHUNK)

    def delete(ids: Sequence[str]) -> int:
        DeliveryAttemptRow.delete().where(DeliveryAttemptRow.delivery_id.in_(ids)).execute()
        return int(DeliveryRow.delete().where(DeliveryRow.id.in_(ids)).execute())

    done = 0
    while ids := await door.read(lambda: [row[0] for row in fetch(chunk)]):
        done += await door.write(lambda ids=ids: delete(ids))  # type: ignore[misc]
    return done


async def _delete_seen(door: Door, now: int) -> int:
    """Keys whose time to be remembered is over."""
    over = SeenRow.expires_at.is_null(False) & (SeenRow.expires_at < now)
    chunk = SeenRow.select(SeenRow.bot_id, SeenRow.step, SeenRow.digest).where(over).limit(CHUNK)
    done = 0
    while keys := await door.read(lambda: fetch(chunk)):
        digests = {digest for _, _, digest in keys}
        # Expired rows of the same digests may go along.
        work = SeenRow.delete().where(over & SeenRow.digest.in_(digests))
        done += await door.write(work.execute)
    return done


async def _delete_rates(door: Door, now: int) -> int:
    """Rate limits that nobody asked lately and that hold nobody back."""
    idle = RateRow.free_at < now - _RATE_MICROS
    chunk = RateRow.select(RateRow.key).where(idle).limit(CHUNK)
    done = 0
    while keys := await door.read(lambda: [row[0] for row in fetch(chunk)]):
        work = RateRow.delete().where(idle & RateRow.key.in_(keys))
        done += await door.write(work.execute)
    return done
