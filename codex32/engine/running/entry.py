"""The record of one step, or of one item of it, while it is being made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from codex32.engine.records.advance import Advance, StepRecord
from codex32.engine.records.awaiting import Subscription, answer_of
from codex32.engine.running import faults
from codex32.engine.running.asking import Asking
from codex32.engine.running.course import Course
from codex32.engine.running.results import Known
from codex32.kernel.events import Event
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM
from codex32.kernel.outcomes import Effect, Ended, EventAwaited, Failed, Publication
from codex32.kernel.statuses import StepStatus


@dataclass(slots=True)
class Done:
    """The step is over; its record is still to be written."""

    record: StepRecord
    known: Known
    failed: Failed | None = None
    ended: Ended | None = None
    state: Mapping[str, JSON] | None = None
    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class Parked:
    """The step waits; that is recorded already. ``until`` in microseconds, or None.

    Attributes:
      counts: As an item it is one of ``parallel`` while it waits. What waits for a person is not:
        the others are asked meanwhile.
    """

    until: int | None
    counts: bool = True


StepResult: TypeAlias = Done | Parked


class Entry:
    """Goes on from what earlier attempts recorded, and writes what follows.

    Attributes:
      prior: What earlier attempts, or earlier tries, left.
      tries: Tries made so far.
      effect: What the step does to the world, once its parameters are known.
      input: Column text of what the step is done with, once that is known.
      sandbox: What kept its program in, if it ran one.
    """

    def __init__(self, course: Course, step: str, item: int) -> None:
        self._course = course
        self.step, self.item = step, item
        self.prior = course.results.get(step, item)
        self.tries = 0
        self.effect = Effect.NONE
        self._started_at: int | None = None
        self.input: str | None = None
        self.sandbox: str | None = None
        #: What it waited for, while it goes on after that: a crash must not ask anew.
        self._waited: str | None = None
        if self.prior is not None:
            # A worker's death is no retry: the try that it cut short is made again.
            cut_short = self.prior.status is StepStatus.RUNNING and "wait" not in self.prior.note
            self.tries = max(self.prior.tries - cut_short, 0)
            self.effect = Effect(self.prior.effect)
            self._started_at = self.prior.started_at
            self.input = self.prior.packed_input

    def begin(self, *, another_try: bool) -> None:
        """A try begins, or one that waited goes on."""
        self.tries += another_try
        self._started_at = self._started_at or self._course.env.clock.micros()

    async def waited(self, note: Mapping[str, JSON]) -> None:
        """The step goes on after a wait, of which ``note`` tells."""
        self._waited = await self._course.book.pack(note)

    async def running(self) -> None:
        """The step is under way. An effect's entry is durable before anything leaves the house."""
        self._know(StepStatus.RUNNING)
        if self.effect is Effect.ONCE:
            record = self._record(StepStatus.RUNNING, note=self._waited)
            await self._course.book.record(record)

    def show(self) -> None:
        """Let people see that the step is running; nobody waits for this record."""
        record = self._record(StepStatus.RUNNING, note=self._waited)
        self._course.book.post(Advance(self._course.claim, steps=[record]))

    async def unknown(self, fault: Failed) -> Parked:
        """Whether the effect happened cannot be told: a person decides."""
        error = {**faults.as_json(fault), "code": "effect-unknown"}
        packed = await self._course.book.pack(error)
        await self._course.book.record(self._record(StepStatus.UNKNOWN, error=packed))
        self._know(StepStatus.UNKNOWN, error=error)
        self._course.in_doubt = self.step
        return Parked(None, counts=False)

    async def ask(self, asking: Asking, note: Mapping[str, JSON]) -> Parked:
        """The step waits for people; that it waits and what it asks is one record."""
        course, asked = self._course, asking.asked
        record = self._record(StepStatus.WAITING, note=await course.book.pack(note))
        how = f"codex32 approvals approve|reject {asked.id}"
        course.book.log(self.step, self.item, "info", f"asks: {asking.text}; answer: {how}", {})
        await course.book.record_asking(record, asked, asking.event(course.claim))
        self._know(StepStatus.WAITING, note=note)
        return self.still_asking(asked.id, asked.expires_at)

    def still_asking(self, approval_id: str, until: int | None) -> Parked:
        """Nobody has decided so far."""
        self._course.asked = True
        self._course.awaits[self.step, self.item] = approval_id
        return Parked(until, counts=False)

    async def park(
        self,
        until: int | None,
        note: Mapping[str, JSON],
        error: JSON = None,
        awaited: EventAwaited | None = None,
    ) -> Parked:
        """The step waits, without a worker."""
        book, subscriptions = self._course.book, []
        if awaited is not None:
            now, claim = self._course.env.clock.micros(), self._course.claim
            values = book.masker.mask_value(awaited.values)
            awaited = replace(awaited, values=values)
            subscriptions = [
                Subscription(claim.workspace, claim.id, self.step, self.item, awaited, now)
            ]
            self._course.awaiting.add((self.step, self.item))
        record = self._record(
            StepStatus.WAITING,
            error=None if error is None else await book.pack(error),
            note=await book.pack(note),
        )
        await book.record(record, subscriptions=subscriptions)
        self._know(StepStatus.WAITING, note=note)
        return Parked(until)

    async def event(self) -> JSON:
        """The event that came for the waiting step, or None."""
        course = self._course
        course.awaiting.discard((self.step, self.item))
        return await course.env.door.read_surely(answer_of, course.claim.id, self.step, self.item)

    def still_awaiting(self, until: int | None) -> Parked:
        """No event has come yet: the step goes on waiting as it was recorded."""
        self._course.awaiting.add((self.step, self.item))
        return Parked(until)

    async def done(
        self,
        status: StepStatus,
        *,
        output: JSON = None,
        note: JSON = None,
        failed: Failed | None = None,
        ended: Ended | None = None,
        state: Mapping[str, JSON] | None = None,
        published: Sequence[Publication] = (),
    ) -> Done:
        """The step is over; the record is left to whoever writes it with what follows."""
        book = self._course.book
        error = None if failed is None else faults.as_json(failed)
        # What is masked in the row is masked for later steps, too: else a resumed execution
        # would see other values than one that was never interrupted.
        output, packed_output = await book.pack_masked(output)
        error, packed_error = await book.pack_masked(error)
        record = self._record(
            status,
            output=packed_output,
            error=packed_error,
            note=None if note is None else await book.pack(note),
            finished_at=self._course.env.clock.micros(),
        )
        known = Known(status, self.tries, output=output, error=error, note=note or {})
        state = book.masker.mask_value(state)
        events = book.published(published) if published else ()
        return Done(record, known, failed=failed, ended=ended, state=state, events=events)

    def _know(
        self, status: StepStatus, *, error: JSON = None, note: Mapping[str, JSON] | None = None
    ) -> None:
        known = Known(
            status,
            self.tries,
            error=error,
            effect=self.effect.value,
            note=note or {},
            started_at=self._started_at,
            packed_input=self.input,
        )
        self._course.results.put(self.step, self.item, known)

    def _record(
        self,
        status: StepStatus,
        *,
        output: str | None = None,
        error: str | None = None,
        note: str | None = None,
        finished_at: int | None = None,
    ) -> StepRecord:
        return StepRecord(
            step=self.step,
            item=self.item,
            status=status.value,
            tries=self.tries,
            input=self.input,
            output=output,
            error=error,
            effect=self.effect.value,
            note=note,
            started_at=self._started_at,
            finished_at=finished_at,
            sandbox=self.sandbox,
        )


def stopped(course: Course, step: str, item: int, known: Known) -> StepRecord:
    """What was begun and is stopped: cancelled, or unknown where an effect was under way."""
    under_way = known.status is StepStatus.RUNNING and known.effect == Effect.ONCE
    unknown = under_way or known.status is StepStatus.UNKNOWN
    status = StepStatus.UNKNOWN if unknown else StepStatus.CANCELLED
    course.results.put(step, item, Known(status, note=known.note))
    course.awaits.pop((step, item), None)
    return StepRecord(
        step=step,
        item=item,
        status=status,
        tries=max(known.tries, 1),
        input=known.packed_input,
        output=None,
        error=None,
        effect=known.effect,
        note=None,
        started_at=known.started_at,
        finished_at=None if unknown else course.env.clock.micros(),
    )


def skipped(step: str, reason: str, now: int) -> Done:
    """A step that does not run."""
    note = f'{{"reason":"{reason}"}}'
    record = StepRecord(step, NO_ITEM, "skipped", 0, None, None, None, "none", note, None, now)
    return Done(record, Known(StepStatus.SKIPPED))
