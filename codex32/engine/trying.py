"""One step, or one item of it: whether it runs, with what, how often, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from codex32.engine import faults
from codex32.engine.context import EngineContext
from codex32.engine.course import Course
from codex32.engine.plan import PlannedStep
from codex32.engine.record import Advance, StepRecord
from codex32.engine.results import Known
from codex32.kernel.clock import to_micros
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, is_json
from codex32.kernel.models import NO_ITEM
from codex32.kernel.outcomes import Effect, Ended, Failed, Outcome, Skipped, Succeeded, Waiting
from codex32.kernel.statuses import StepStatus
from codex32.kernel.views import StepInfo, Waited

#: A step that takes longer than this is shown as running; a quicker one is recorded once.
SHOW_AFTER_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Done:
    """The step is over; its record is still to be written."""

    record: StepRecord
    known: Known
    failed: Failed | None = None
    ended: Ended | None = None
    state: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True)
class Parked:
    """The step waits; that is recorded already. ``until`` in microseconds, or None."""

    until: int | None


StepResult: TypeAlias = Done | Parked


class Trying:
    """The tries of one step or item within one attempt."""

    def __init__(self, course: Course, planned: PlannedStep, item: int, value: JSON) -> None:
        self.course = course
        self.env = course.env
        self.planned = planned
        self.item = item
        self.scope = course.scope
        if item != NO_ITEM:
            self.scope = {**course.scope, "item": value, "index": item}
        self.prior = course.results.get(planned.id, item)
        self.tries = self.prior.tries if self.prior else 0
        self.started_at: int | None = self.prior.started_at if self.prior else None
        self.params: Mapping[str, JSON] = {}
        self.packed_input: str | None = None
        self.effect = Effect.NONE

    async def run(self) -> StepResult:
        """Go on from where earlier attempts stopped, to an end or to a wait."""
        now = self.env.clock.micros()
        waited = None
        if self.prior is not None:
            self.packed_input = self.prior.packed_input
            if self._cut_in_an_effect():
                return await self._unknown(
                    Failed("the worker was lost while the effect was under way", unknown=True)
                )
            if self.prior.status is StepStatus.UNKNOWN:
                return Parked(None)
            wait = self.prior.note.get("wait")
            until = self._until()
            if until is not None and until > now and not self._may_have_an_answer(wait):
                return Parked(until)
            if wait is not None:
                waited = Waited(wait.get("note"), wait.get("answer"), until is not None)
        return await self._try(waited)

    def _until(self) -> int | None:
        assert self.prior is not None
        until = self.prior.note.get("until")
        return until if self.prior.status is StepStatus.WAITING else None

    def _may_have_an_answer(self, wait: JSON) -> bool:
        return wait is not None and wait.get("token") is not None

    def _cut_in_an_effect(self) -> bool:
        prior = self.prior
        assert prior is not None
        return prior.status is StepStatus.RUNNING and prior.effect == Effect.ONCE

    async def _try(self, waited: Waited | None) -> StepResult:
        if waited is None:
            self.tries += 1
        self.started_at = self.started_at or self.env.clock.micros()
        try:
            outcome = await self._outcome(waited)
        except Exception as error:
            outcome = faults.as_failed(error)
        fault_point("step.after_try")
        return await self._conclude(outcome)

    async def _outcome(self, waited: Waited | None) -> Outcome:
        await self._prepare()
        info = StepInfo(
            id=self.planned.id,
            type=self.planned.step.type,
            number=self.tries,
            idempotency_key=self._idempotency_key(),
            item=None if self.item == NO_ITEM else self.item,
        )
        self.course.results.put(
            self.planned.id,
            self.item,
            Known(
                StepStatus.RUNNING,
                self.tries,
                effect=self.effect.value,
                started_at=self.started_at,
                packed_input=self.packed_input,
            ),
        )
        if self.effect is Effect.ONCE:
            # The ledger's first entry: durable before anything leaves the house.
            await self.course.book.record(self._record(StepStatus.RUNNING))
            fault_point("effect.after_entry")
        context = EngineContext(self.course, info, waited)
        shown = asyncio.get_running_loop().call_later(SHOW_AFTER_SECONDS, self._show)
        limit = self.planned.step.timeout_seconds
        try:
            async with asyncio.timeout(limit) as timeout:
                return await self.env.call(self.planned.type, context, self.params)
        except TimeoutError:
            if not timeout.expired():
                raise
            assert limit is not None
            return faults.timed_out(limit)
        finally:
            shown.cancel()

    async def _prepare(self) -> None:
        planned = self.planned
        scope = self.scope
        if planned.params.secrets:
            secrets = {name: await self.course.secret(name) for name in planned.params.secrets}
            scope = {**scope, "secrets": secrets}
        self.params = planned.params.evaluate(scope)
        planned.check(self.params)
        self.packed_input = await self.course.book.pack(self.params)
        self.effect = self._judged_effect()

    def _judged_effect(self) -> Effect:
        step = self.planned.step
        effect = self.planned.effect(self.params, self.env.components)
        if effect is Effect.ONCE and (step.repeat == "safe" or step.idempotency_key is not None):
            return Effect.IDEMPOTENT
        return effect

    def _idempotency_key(self) -> str:
        if self.planned.idempotency_key is not None:
            return str(self.planned.idempotency_key.evaluate(self.scope))
        place = "" if self.item == NO_ITEM else f":{self.item}"
        return f"{self.course.claim.id}:{self.planned.id}{place}"

    async def _conclude(self, outcome: Outcome) -> StepResult:
        match outcome:
            case Succeeded():
                if not is_json(outcome.output):
                    return await self._conclude(
                        Failed(f"bot type {self.planned.step.type} returned what is no JSON")
                    )
                return await self._done(
                    StepStatus.SUCCEEDED, output=outcome.output, state=outcome.state
                )
            case Skipped():
                return await self._done(StepStatus.SKIPPED, note={"reason": outcome.reason})
            case Ended():
                note = {"ended": {"status": outcome.status, "message": outcome.message}}
                return await self._done(
                    StepStatus.SUCCEEDED, output=outcome.output, note=note, ended=outcome
                )
            case Waiting():
                until = None if outcome.until is None else to_micros(outcome.until)
                wait = {"token": outcome.token, "note": outcome.note}
                return await self._park(until, {"wait": wait, "until": until})
            case Failed():
                return await self._failed(outcome)

    async def _failed(self, outcome: Failed) -> StepResult:
        # A late or cut answer leaves an effect in doubt; other faults say that nothing happened.
        in_doubt = outcome.unknown or outcome.code == "timeout"
        if in_doubt and self.effect is Effect.ONCE:
            return await self._unknown(outcome)
        delay = self._delay(outcome)
        if delay is None:
            return await self._done(StepStatus.FAILED, failed=outcome)
        until = to_micros(self.env.clock.now() + timedelta(seconds=delay))
        self.course.book.log(
            self.planned.id,
            self.item,
            "warning",
            f"try {self.tries} failed, the next follows in {delay:.1f} s: {outcome.message}",
            {},
        )
        return await self._park(until, {"until": until}, error=faults.as_json(outcome))

    def _delay(self, outcome: Failed) -> float | None:
        """Seconds until another try, or None where none follows."""
        if self.env.decide_retry is not None:
            info = StepInfo(self.planned.id, self.planned.step.type, self.tries, "")
            decision = self.env.decide_retry(self.course.claim.bot_name, info, outcome)
            if decision is not None:
                return decision.delay_seconds if decision.retry else None
        if not outcome.retryable or self.tries >= self.planned.retry.attempts:
            return None
        return faults.retry_delay(self.planned.retry, self.tries, outcome)

    async def _unknown(self, outcome: Failed) -> StepResult:
        error = {**faults.as_json(outcome), "code": "effect-unknown"}
        record = self._record(StepStatus.UNKNOWN, error=await self.course.book.pack(error))
        await self.course.book.record(record)
        self.course.results.put(
            self.planned.id,
            self.item,
            Known(
                StepStatus.UNKNOWN,
                self.tries,
                error=error,
                effect=self.effect.value,
                started_at=self.started_at,
                packed_input=self.packed_input,
            ),
        )
        self.course.in_doubt = self.planned.id
        return Parked(None)

    async def _park(
        self, until: int | None, note: Mapping[str, JSON], error: JSON = None
    ) -> StepResult:
        record = self._record(
            StepStatus.WAITING,
            error=None if error is None else await self.course.book.pack(error),
            note=await self.course.book.pack(note),
        )
        await self.course.book.record(record)
        known = Known(
            StepStatus.WAITING,
            self.tries,
            note=note,
            started_at=self.started_at,
            packed_input=self.packed_input,
        )
        self.course.results.put(self.planned.id, self.item, known)
        return Parked(until)

    async def _done(
        self,
        status: StepStatus,
        *,
        output: JSON = None,
        note: JSON = None,
        failed: Failed | None = None,
        ended: Ended | None = None,
        state: Mapping[str, JSON] | None = None,
    ) -> Done:
        error = None if failed is None else faults.as_json(failed)
        # What is masked in the row is masked for later steps, too: else a resumed execution
        # would see other values than one that was never interrupted.
        output, packed_output = await self.course.book.pack_masked(output)
        error, packed_error = await self.course.book.pack_masked(error)
        state = self.course.book.masker.mask_value(state)
        record = self._record(
            status,
            output=packed_output,
            error=packed_error,
            note=None if note is None else await self.course.book.pack(note),
            finished_at=self.env.clock.micros(),
        )
        known = Known(status, self.tries, output=output, error=error, note=note or {})
        return Done(record, known, failed=failed, ended=ended, state=state)

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
            step=self.planned.id,
            item=self.item,
            status=status.value,
            tries=self.tries,
            input=self.packed_input,
            output=output,
            error=error,
            effect=self.effect.value,
            note=note,
            started_at=self.started_at,
            finished_at=finished_at,
        )

    def _show(self) -> None:
        """Let people see that the step is running; nobody waits for this record."""
        self.course.book.post(Advance(self.course.claim, steps=[self._record(StepStatus.RUNNING)]))


def skipped(planned: PlannedStep, reason: str, now: int) -> Done:
    """A step that does not run."""
    note = f'{{"reason":"{reason}"}}'
    record = StepRecord(
        planned.id, NO_ITEM, "skipped", 0, None, None, None, "none", note, None, now
    )
    return Done(record, Known(StepStatus.SKIPPED))
