"""The scheduler's tick: due triggers are answered, each of their times once.

A tick claims due trigger rows by moving their next time on, and in the same transaction writes
what came of each time: an execution, or the reason why there is none. Whoever moved the time
answers it, so any number of schedulers may tick at once, and none is asked twice after a crash.
docs/explanation/schedules.md tells the rules.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codex32.engine.expressions import compile_condition, compile_template
from codex32.kernel.bot import Trigger
from codex32.kernel.database import Door, is_outage
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON
from codex32.kernel.models import TriggerRow
from codex32.kernel.payloads import PayloadStore
from codex32.services.bots import schedules
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.schedules import TriggerTypes
from codex32.services.executions.starting import Start, Subject, prepare
from codex32.services.presentation import iso
from codex32.services.triggers.answering import dedupe_key, faults_noted
from codex32.services.triggers.grid import Times, come
from codex32.services.triggers.occurrences import (
    MOVES,
    Answer,
    Due,
    batch,
    carry_out,
    claimable,
    first_answers,
    live_triggers,
    next_due,
)

log = logging.getLogger(__name__)

#: Between looks while there is work: what is left is in the hands of another scheduler.
_LEAST_PAUSE_SECONDS = 0.02


@dataclass(slots=True)
class Ticked:
    """What ticks did: how many triggers were due, and how often each decision was made.

    Attributes:
      ahead: When the next trigger is due, where none was; None where none ever is.
    """

    triggers: int = 0
    decisions: dict[str, int] = field(default_factory=dict)
    ahead: int | None = field(default=None, compare=False)

    def pause_seconds(self, now: int, most: float) -> float:
        """How long to wait before the next look: no longer than until something is due."""
        if self.triggers:
            return _LEAST_PAUSE_SECONDS
        if self.ahead is None:
            return most
        return min(max((self.ahead - now) / 1e6, _LEAST_PAUSE_SECONDS), most)

    def add(self, other: Ticked) -> None:
        """Count what another tick did, too."""
        self.triggers += other.triggers
        for decision, count in other.decisions.items():
            self.decisions[decision] = self.decisions.get(decision, 0) + count


class Ticker:
    """Answers due triggers.

    Args:
      types: The installed trigger types.
      missed_after_seconds: A time that is later than this by the time it is looked at was
        missed, and ``on_missed`` says what is done about it.
    """

    def __init__(
        self,
        types: TriggerTypes,
        definitions: Definitions,
        payloads: PayloadStore,
        *,
        missed_after_seconds: float = 60.0,
    ) -> None:
        self._types, self._definitions, self._payloads = types, definitions, payloads
        self._patience = int(missed_after_seconds * 1e6)

    async def run(self, door: Door, now: int) -> Ticked:
        """Answer everything that is due at ``now``, and what becomes so meanwhile, in batches."""
        done, began = Ticked(ahead=await door.read(next_due)), time.monotonic()
        if done.ahead is None or done.ahead > now:
            return done
        while True:
            ticked = await self._batch(door, now + int((time.monotonic() - began) * 1e6))
            done.add(ticked)
            if ticked.triggers < batch():  # another scheduler has what is left, if anything is
                return done

    async def _batch(self, door: Door, now: int) -> Ticked:
        try:
            return await door.write(lambda: self.tick(now))
        except Exception as error:
            if is_outage(error):
                raise
            log.exception("a batch of triggers failed; answering them one by one")
            return await self._one_by_one(door, now)

    def tick(self, now: int, only: Sequence[str] = ()) -> Ticked:
        """Answer a batch of due triggers (of the ids ``only``); called in a write."""
        due = claimable(now, only)
        times = {each.id: self._times(each, now) for each in due}
        moved = MOVES.write([(_next(times[each.id]), each.id, each.next_at) for each in due])
        if moved:
            fault_point("tick.after_claim")
        self._definitions.fetch_terms(each.version_id for each in due if each.version_id)
        answers = self._decide([each for each in due if each.id in moved], times, now)
        carry_out(answers, self._payloads, now)
        if moved:
            fault_point("tick.before_commit")
        done = Ticked(triggers=len(moved))
        for answer in answers:
            done.decisions[answer.decision] = done.decisions.get(answer.decision, 0) + 1
        return done

    async def _one_by_one(self, door: Door, now: int) -> Ticked:
        done = Ticked()
        for due in await door.read(claimable, now, ()):
            try:
                done.add(await door.write(lambda only=due.id: self.tick(now, [only])))  # type: ignore[misc]
            except Exception as error:
                if is_outage(error):
                    raise
                told = "trigger %s cannot be answered and is put to rest"
                log.exception(told, due.id, extra=due.about)
                await door.write(lambda only=due.id: _put_to_rest(only))  # type: ignore[misc]
                done.triggers += 1
        return done

    def _times(self, due: Due, now: int) -> Times | Exception:
        """The times that have come, or what the trigger type raised."""
        try:
            trigger = schedules.restored(due.definition)
            kind = self._types[trigger.kind]
            return come(
                due.next_at,
                lambda after: schedules.fire_after(kind, trigger, after),
                now,
                self._patience,
                trigger.on_missed,
            )
        except Exception as error:
            log.exception("a trigger of %s cannot tell its times", due.bot_name, extra=due.about)
            return error

    def _decide(
        self, due: Sequence[Due], times: dict[str, Times | Exception], now: int
    ) -> list[Answer]:
        answers: list[Answer] = []
        live = live_triggers([each.id for each in due])
        for each in due:
            found = times[each.id]
            if isinstance(found, Exception):
                detail = f"the trigger type failed and is asked again later: {found!r}"
                answers.append(Answer(each, each.next_at, "invalid", detail))
                continue
            trigger = schedules.restored(each.definition)
            if found.missed:
                answers.append(_missed(each, trigger, found.missed))
            for at in (*found.made_up, *found.due):
                late = at in found.made_up
                answer = self._answer(each, trigger, at, now, each.id in live, late=late)
                if answer.decision == "fired":
                    live.add(each.id)
                answers.append(answer)
        return first_answers(answers)

    def _answer(
        self, due: Due, trigger: Trigger, at: int, now: int, live: bool, *, late: bool
    ) -> Answer:
        """Decide about one time of a trigger; ``live`` says whether it has one going."""
        answer = Answer(due, at)
        overlap = trigger.overlap or "skip"
        in_turn = overlap == "queue"
        if overlap == "skip" and trigger.on_missed == "all" and late:
            in_turn = True  # whoever wants all of them does not want all but one skipped
        if due.paused:
            answer.decision = "paused"
        elif overlap == "skip" and live and not in_turn:
            answer.decision, answer.detail = "overlap", "an earlier execution is still going on"
        else:
            with faults_noted(answer):
                self.prepare(answer, trigger, in_turn, now)
        return answer

    def prepare(
        self,
        answer: Answer,
        trigger: Trigger,
        in_turn: bool,
        now: int,
        told: Mapping[str, JSON] | None = None,
        **fields: Any,
    ) -> None:
        """Prepare the execution that answers a time, or note why there is none.

        Args:
          answer: What is known of the time; the execution, or a decision, is put into it.
          trigger: Whose time it is.
          in_turn: Whether it waits for earlier executions of the trigger.
          now: The present, in microseconds.
          told: What expressions see as ``trigger`` beside ``kind`` and ``at``.
          fields: Further fields of the :class:`Start`.

        Raises:
          Codex32Error: An expression fails, or the inputs do not fit.
        """
        due = answer.due
        if due.version_id is None or due.number is None:
            answer.decision, answer.detail = "invalid", "the bot has never been without faults"
            return
        about: dict[str, JSON] = {"kind": trigger.kind, "at": answer.key}
        about |= told or {}
        scope = {"trigger": about, "bot": {"name": due.bot_name, "version": due.number}}
        if trigger.condition is not None and not compile_condition(trigger.condition).evaluate(
            scope
        ):
            answer.decision, answer.detail = "no-match", f"`if` is false: {trigger.condition}"
            return
        key = None
        if trigger.dedupe is not None:
            key = dedupe_key(due.id, compile_template(trigger.dedupe).evaluate(scope))
        start = Start(
            bot=due.bot_name,
            inputs=compile_template(trigger.inputs).evaluate(scope),
            trigger=about,
            trigger_id=due.id,
            idempotency_key=key,
            in_turn=in_turn,
            workspace=due.workspace,
            **fields,
        )
        terms = self._definitions.terms(due.version_id)
        subject = Subject(due.bot_id, due.bot_name, due.version_id, due.number, terms)
        answer.execution = prepare(start, subject, self._payloads, now)


def _next(times: Times | Exception) -> int | None:
    return None if isinstance(times, Exception) else times.next_at


def _missed(due: Due, trigger: Trigger, missed: tuple[int, int]) -> Answer:
    first, last = missed
    which = f"{iso(first)}" if first == last else f"all from {iso(first)} to {iso(last)}"
    detail = f"nobody was there at the time: {which}; on_missed is {trigger.on_missed}"
    return Answer(due, first, "missed", detail)


def _put_to_rest(trigger_id: str) -> None:
    """A trigger that fails at every look waits until its times are mended."""
    TriggerRow.update(next_at=None).where(TriggerRow.id == trigger_id).execute()
