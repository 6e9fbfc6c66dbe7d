"""Making up for times of a schedule, and for events, that nobody answered with an execution.

The times are those the scheduler would have come to, the events those that are kept. Each batch
holds the rows of the triggers it is about, as a tick does, looks what was answered meanwhile, and
writes executions and answers in one transaction: so two backfills and a scheduler make one
execution of each, and a backfill that was killed is simply run again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from codex32.kernel.bot import Trigger
from codex32.kernel.caller import HOUSE, Caller
from codex32.kernel.clock import Clock, SystemClock
from codex32.kernel.database import fetch, is_sqlite
from codex32.kernel.errors import BackfillRefused, BotDisabled, BotInvalid, Codex32Error
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON
from codex32.kernel.models import BotRow, OccurrenceRow, TriggerRow, VersionRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots import bots, schedules
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.schedules import TriggerTypes
from codex32.services.presentation import iso
from codex32.services.safe import audit
from codex32.services.triggers.answering import Answerer, Happening, Question
from codex32.services.triggers.backfill_answers import NOTHING, Missed, answers, removed_triggers
from codex32.services.triggers.backfill_events import happened, happenings
from codex32.services.triggers.listeners import answers_events
from codex32.services.triggers.occurrences import Answer, Due, carry_out
from codex32.services.triggers.triggers import Ticker
from codex32.services.upkeep.retention import Limits

log = logging.getLogger(__name__)

#: Times that are made up for in one transaction.
BATCH = 200
#: Times that one backfill looks at; telling them takes some seconds.
MOST_TIMES = 100_000
#: What is made up for comes after everything else.
PRIORITY = -1000
_LOOK = 500


@dataclass(frozen=True, slots=True)
class Backfill:
    """The wish that what a bot missed from ``first`` to ``last`` be made up for.

    Attributes:
      first: In microseconds, as ``last``; both belong to the range.
      trigger: The trigger's place in the file, counted from 1, or its kind; None for all that tell
        times or answer events and are enabled.
      limit: Most times and events, the oldest ones; None for all.
      forgotten: Also where answers are so old that they were let go: a time that was answered then
        is answered again.
    """

    bot: str
    first: int
    last: int
    trigger: str | None = None
    limit: int | None = None
    forgotten: bool = False
    workspace: str = "default"
    by: Caller = HOUSE


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing.

    Attributes:
      triggers: The triggers it is about, by id.
      times: How many times, and events for the bot, the range holds.
      missing: Those to be made up for, oldest first.
      left: How many more are missing, beyond the limit.
      began_at: Of the look, in microseconds; ids of executions count up to it.
    """

    bot: str
    triggers: Mapping[str, Due]
    times: int
    missing: Sequence[Missed]
    left: int
    began_at: int
    workspace: str
    by: Caller

    def batches(self) -> Iterator[range]:
        """The places in ``missing``, batch by batch."""
        for start in range(0, len(self.missing), BATCH):
            yield range(start, min(start + BATCH, len(self.missing)))


@dataclass(slots=True)
class Filled:
    """What was made.

    Attributes:
      executions: Ids, in the order of the times.
      decisions: How often each decision was made; ``answered`` where somebody else was quicker.
    """

    executions: list[str] = field(default_factory=list)
    decisions: dict[str, int] = field(default_factory=dict)

    def add(self, other: Filled) -> None:
        """Count what another batch made, too."""
        self.executions += other.executions
        for decision, count in other.decisions.items():
            self.note(decision, count)

    def note(self, decision: str, count: int = 1) -> None:
        """Count a decision."""
        self.decisions[decision] = self.decisions.get(decision, 0) + count


class Backfiller:
    """Looks for what is missing, and makes it.

    Args:
      ticker: Prepares the execution of a time, as it does for the scheduler.
      types: The installed trigger types.
    """

    def __init__(
        self,
        ticker: Ticker,
        types: TriggerTypes,
        definitions: Definitions,
        payloads: PayloadStore,
        clock: Clock = SystemClock.shared,
    ) -> None:
        self._ticker, self._types = ticker, types
        self._definitions, self._payloads = definitions, payloads
        self._answerer = Answerer(definitions, payloads)
        self._clock = clock

    def look(self, wish: Backfill) -> Gap:
        """What is missing; reads alone.

        Raises:
          BotNotFound: There is no such bot.
          BotDisabled: Its file is gone, or says ``enabled: false``.
          BotInvalid: It has never had a version without faults.
          BackfillRefused: The range or the trigger makes no sense; the message says what would.
        """
        now = self._clock.micros()
        row = bots.get(wish.bot, workspace=wish.workspace)
        _check_bot(row)
        _check_range(wish, row, now)
        due = self._triggers(wish, row)
        times = [
            Missed(at, each.id)
            for each in due.values()
            for at in self._times(each, wish.first, wish.last)
        ]
        patterns = {each.id: pattern for each in due.values() if (pattern := self._pattern(each))}
        if patterns:
            times += happened(wish.workspace, wish.first, wish.last, patterns)
        if len(times) > MOST_TIMES:
            raise _too_many()
        times.sort(key=lambda each: each.at)
        before = removed_triggers(row.id)
        missing = []
        for start in range(0, len(times), _LOOK):
            part = times[start : start + _LOOK]
            answered = answers(part, before)
            missing += [each for each in part if not answered.get(each, NOTHING).stands]
        limit = len(missing) if wish.limit is None else wish.limit
        return Gap(
            bot=row.name,
            triggers=due,
            times=len(times),
            missing=missing[:limit],
            left=max(len(missing) - limit, 0),
            began_at=now,
            workspace=wish.workspace,
            by=wish.by,
        )

    def fill(self, gap: Gap, places: range) -> Filled:
        """Make the executions of a batch; a function for ``Door.write``.

        Raises:
          BackfillRefused: The triggers have changed since the look.
        """
        now = self._clock.micros()
        part = [gap.missing[place] for place in places]
        _hold(gap, sorted({each.trigger_id for each in part}))
        before = removed_triggers(next(iter(gap.triggers.values())).bot_id)
        known, done, made = answers(part, before), Filled(), []
        events = happenings([each.event for each in part if each.event])
        replaced: list[str] = []
        for place, missed in zip(places, part, strict=True):
            earlier = known.get(missed, NOTHING)
            if earlier.stands or (missed.event and missed.event not in events):
                done.note("answered" if earlier.stands else "forgotten")
                continue
            replaced += [earlier.id] if earlier.id else []
            answer = (
                self._answer_event(gap.triggers[missed.trigger_id], events[missed.event], now)
                if missed.event
                else self._answer_time(gap, place, now)
            )
            answer.detail = answer.detail or f"made up for by a backfill{earlier.told}"
            made.append(_queued_behind(answer, now + place))
        OccurrenceRow.delete().where(OccurrenceRow.id.in_(replaced)).execute()
        carry_out(made, self._payloads, now)
        for answer in made:
            done.note(answer.decision)
            if answer.decision == "fired" and answer.execution_id is not None:
                done.executions.append(answer.execution_id)
        if made:
            told = {"first": iso(part[0].at), "last": iso(part[-1].at), "times": len(made)}
            audit.record(
                gap.by, "bot.backfilled", gap.bot, now, change=told, workspace=gap.workspace
            )
        return done

    def _answer_event(self, due: Due, event: Happening, now: int) -> Answer:
        trigger = schedules.restored(due.definition)
        if trigger.overlap != "allow":
            trigger = replace(trigger, overlap="queue")
        # It is asked for, so that the bot is paused does not matter, as with times.
        return self._answerer.decide(Question(replace(due, paused=False), trigger, event), now)

    def _answer_time(self, gap: Gap, place: int, now: int) -> Answer:
        missed = gap.missing[place]
        due = gap.triggers[missed.trigger_id]
        answer = Answer(due, missed.at)
        trigger = schedules.restored(due.definition)
        # Ids sort by time: the oldest time gets the smallest, and goes first through a gate.
        moment = (gap.began_at // 1000 - len(gap.missing) + place) / 1000
        try:
            self._ticker.prepare(
                answer,
                trigger,
                trigger.overlap != "allow",
                now,
                id=new_id("exe", now=lambda: moment),
                priority=PRIORITY,
                told={"backfill": True},
            )
        except Codex32Error as error:
            answer.decision, answer.detail = "invalid", error.message
        except Exception as error:
            log.exception("a time of %s cannot be made up for", due.bot_name, extra=due.about)
            answer.decision, answer.detail = "invalid", repr(error)
        return answer

    def _pattern(self, due: Due) -> str | None:
        """The events that a trigger answers."""
        trigger = schedules.restored(due.definition)
        return self._types[trigger.kind].event_pattern(trigger.config)

    def _triggers(self, wish: Backfill, row: BotRow) -> dict[str, Due]:
        """The triggers that are meant, by id."""
        number = VersionRow.select(VersionRow.number).where(VersionRow.id == row.active_version_id)
        rows = {each.key: each for each in TriggerRow.select().where(TriggerRow.bot_id == row.id)}
        bot = self._definitions.bot(row.active_version_id or "")
        found: dict[str, Due] = {}
        told = []
        for place, (key, trigger) in enumerate(
            schedules.keyed(bot.triggers, self._types).items(), 1
        ):
            told.append(f"{place} ({trigger.kind} {trigger.config})")
            kind = self._types.get(trigger.kind)
            if key not in rows or kind is None or not (kind.timed or answers_events(kind)):
                continue
            meant = (str(place), trigger.kind)
            if trigger.enabled if wish.trigger is None else wish.trigger in meant:
                each = rows[key]
                found[each.id] = Due(
                    each.id, row.id, each.definition, each.next_at or 0, row.name,
                    row.workspace, row.paused, row.active_version_id, number.scalar(),
                )  # fmt: skip
        if not found:
            which = (
                "that tells times or answers events"
                if wish.trigger is None
                else repr(wish.trigger)
            )
            raise BackfillRefused(
                f"{row.name} has no trigger {which}; it has: {', '.join(told) or 'none'}"
            )
        return found

    def _times(self, due: Due, first: int, last: int) -> Iterator[int]:
        """The times of a trigger in a range, as the scheduler would come to them."""
        trigger: Trigger = schedules.restored(due.definition)
        kind = self._types[trigger.kind]
        if not kind.timed:
            return
        after = first - 1
        for _ in range(MOST_TIMES + 1):
            try:
                at = schedules.fire_after(kind, trigger, after)
            except Exception as error:
                raise BackfillRefused(f"{trigger.kind} cannot tell its times: {error}") from error
            if at is None or at > last:
                return
            yield at
            after = at
        raise _too_many()


def _queued_behind(answer: Answer, created_at: int) -> Answer:
    """The same behind everything else."""
    if answer.execution is not None:
        new, trigger_id = answer.execution, answer.due.id
        own = new.gate == f"trigger:{trigger_id}"
        answer.execution = replace(
            new,
            # It takes no turn from those that are due, and they take none from it.
            trigger_id=None,
            gate=f"backfill:{trigger_id}" if own else new.gate,
            when_full="queue",
            max_queued=None,
            priority=PRIORITY,
            created_at=created_at,
        )
    return answer


def _hold(gap: Gap, ids: Sequence[str]) -> None:
    """Let no scheduler and no other backfill answer these triggers until the commit."""
    query = TriggerRow.select(TriggerRow.id, TriggerRow.definition).where(TriggerRow.id.in_(ids))
    query = query.order_by(TriggerRow.id)
    if not is_sqlite():
        query = query.for_update()
    if dict(fetch(query)) != {each: gap.triggers[each].definition for each in ids}:
        raise BackfillRefused(f"the triggers of {gap.bot} have changed meanwhile; run it again")


def _check_bot(row: BotRow) -> None:
    if row.removed_at is not None:
        raise BotDisabled(row.name, "it was removed; put its file back")
    if row.active_version_id is None:
        raise BotInvalid(f"{row.name} has never been without faults", ())
    if not row.enabled:
        raise BotDisabled(row.name, "its definition says `enabled: false`")


def _check_range(wish: Backfill, row: BotRow, now: int) -> None:
    if wish.first > wish.last:
        raise BackfillRefused(f"the range ends ({iso(wish.last)}) before it begins")
    if wish.last > now:
        raise BackfillRefused(
            f"the range ends in the future ({iso(wish.last)}), which is the scheduler's"
        )
    days = Limits(days={}).occurrence_days or 0.0
    known_since = now - int(days * 86400e6)
    if wish.first < known_since and row.created_at < known_since and not wish.forgotten:
        raise BackfillRefused(
            f"what was answered before {iso(known_since)} is forgotten, so that nobody can tell "
            "what is missing there; begin later, or say that all of it is to be done "
            "(--forgotten, or `forgotten` over HTTP)"
        )


def _too_many() -> BackfillRefused:
    return BackfillRefused(
        f"the range holds more than {MOST_TIMES:,} times and events; take a shorter one, and then "
        "the next"
    )


def as_dict(gap: Gap, filled: Filled, *, dry_run: bool) -> dict[str, JSON]:
    """What a backfill found and made, as plain data for JSON; at most 1,000 ids."""
    return {
        "bot": gap.bot,
        "dry_run": dry_run,
        "times": gap.times,
        "missing": len(gap.missing) + gap.left,
        "made": len(filled.executions),
        "left": gap.left,
        "decisions": filled.decisions,
        "first": iso(gap.missing[0].at) if gap.missing else None,
        "last": iso(gap.missing[-1].at) if gap.missing else None,
        "executions": filled.executions[:1000],
    }
