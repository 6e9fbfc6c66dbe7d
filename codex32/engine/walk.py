"""Going through a section's steps in the order their needs allow, several at once if need be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from codex32.engine import faults
from codex32.engine.course import Course
from codex32.engine.each import Each
from codex32.engine.entry import Done, Parked, StepResult, skipped
from codex32.engine.plan import PlannedStep
from codex32.engine.record import StepRecord
from codex32.engine.results import Known
from codex32.engine.trying import Trying
from codex32.kernel.errors import Codex32Error
from codex32.kernel.models import NO_ITEM
from codex32.kernel.outcomes import Effect, Ended, Failed
from codex32.kernel.statuses import Cause, StepStatus


@dataclass(slots=True)
class Halt:
    """Why a walk stopped: everything done, a failure, an end, a wait, or a worker that stops.

    Attributes:
      until: Where it is parked: when to go on (microseconds), or None until something wakes it.
    """

    failed: Failed | None = None
    ended: Ended | None = None
    step: str | None = None
    parked: bool = False
    drained: bool = False
    until: int | None = None


class Walk:
    """One section of an execution: its steps, ``on_failure`` or ``finally``.

    Args:
      closing: Faults of this section change nothing and stop nothing.
    """

    def __init__(
        self, course: Course, steps: Sequence[PlannedStep], *, closing: bool = False
    ) -> None:
        self.course = course
        self.closing = closing
        self._pending = {planned.id: planned for planned in steps}
        self._running: dict[asyncio.Task[StepResult], PlannedStep] = {}
        self._parked: dict[str, int | None] = {}
        self._begun: set[str] = set()
        self._halt = Halt()

    async def run(self) -> Halt:
        """Walk until nothing can be started and nothing is under way."""
        self._take_up()
        while True:
            ready = [] if self._stopping() else self._ready()
            if len(ready) == 1 and not self._running and not self._parked:
                # The common case, a line of steps, needs no task of its own.
                await self.course.book.flush()
                await self._apply(ready[0], await self._step(ready[0]))
                continue
            if ready:
                await self.course.book.flush()
            for planned in ready:
                self._running[asyncio.create_task(self._step(planned))] = planned
            if not self._running:
                break
            await self._wait()
        return self._conclude(bool(self._ready_later()))

    async def stop(self) -> None:
        """Stop the steps that are under way, and record where that left them."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.course.book.flush()
        records = [record for planned in self._pending.values() for record in self._left(planned)]
        if records:
            await self.course.book.record(*records)

    def _take_up(self) -> None:
        """Pass over what earlier attempts finished, and find how it ended."""
        for step_id, planned in list(self._pending.items()):
            known = self.course.results.get(step_id)
            if known is None or not known.final:
                continue
            del self._pending[step_id]
            self._weigh(planned, known, None)

    def _stopping(self) -> bool:
        halt = self._halt
        return halt.failed is not None or halt.ended is not None or self.course.draining

    def _ready(self) -> list[PlannedStep]:
        busy = {planned.id for planned in self._running.values()}
        return [
            planned
            for step_id, planned in self._pending.items()
            if step_id not in busy
            and step_id not in self._parked
            and all(self.course.results.done(need) for need in planned.step.needs)
        ]

    def _ready_later(self) -> list[PlannedStep]:
        return [] if self._halt.failed or self._halt.ended else self._ready()

    async def _wait(self) -> None:
        """Until a step is done or the first parked one may go on."""
        times = [until for until in self._parked.values() if until is not None]
        timeout = None
        if times:
            timeout = max(min(times) - self.course.env.clock.micros(), 0) / 1e6
        done, _ = await asyncio.wait(
            self._running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            await self._apply(self._running.pop(task), task.result())
        now = self.course.env.clock.micros()
        self._parked = {s: u for s, u in self._parked.items() if u is None or u > now}

    async def _apply(self, planned: PlannedStep, result: StepResult) -> None:
        if isinstance(result, Parked):
            self._parked[planned.id] = result.until
            return
        course = self.course
        course.results.put(planned.id, NO_ITEM, result.known)
        for key, value in (result.state or {}).items():
            if value is None:
                course.claim.state.pop(key, None)
            else:
                course.claim.state[key] = value
        course.book.hold(result.record, result.state)
        del self._pending[planned.id]
        if self._running:
            await course.book.flush()
        self._weigh(planned, result.known, result.failed)
        if result.ended is not None and not self.closing:
            self._halt.ended, self._halt.step = result.ended, planned.id

    def _weigh(self, planned: PlannedStep, known: Known, failed: Failed | None) -> None:
        """What a finished step means for the whole section."""
        if self.closing:
            return
        stops = known.status is StepStatus.FAILED and planned.step.on_error == "fail"
        if stops and self._halt.failed is None:
            self._halt.failed = failed or _restored(known)
            self._halt.step = planned.id
        ended = known.note.get("ended")
        if ended and self._halt.ended is None:
            self._halt.ended = Ended(ended["status"], ended["message"], known.output)
            self._halt.step = planned.id

    async def _step(self, planned: PlannedStep) -> StepResult:
        course = self.course
        self._begun.add(planned.id)
        now = course.env.clock.micros()
        try:
            if course.results.get(planned.id) is None:
                if planned.condition is not None:
                    if not planned.condition.evaluate(course.scope):
                        return skipped(planned.id, "its condition does not hold", now)
                elif self._need_was_skipped(planned):
                    return skipped(planned.id, "a step it needs was skipped", now)
            if planned.foreach is not None:
                return await Each(course, planned).run()
        except Codex32Error as error:
            return await self._fault(planned, faults.as_failed(error), now)
        return await Trying(course, planned, NO_ITEM, None).run()

    async def _fault(self, planned: PlannedStep, failed: Failed, now: int) -> Done:
        """A step that cannot even begin."""
        error, packed = await self.course.book.pack_masked(faults.as_json(failed))
        record = StepRecord(
            planned.id, NO_ITEM, "failed", 0, None, None, packed, "none", None, now, now
        )
        return Done(record, Known(StepStatus.FAILED, error=error), failed=failed)

    def _need_was_skipped(self, planned: PlannedStep) -> bool:
        """Only needs that are written out pass a skip on; the mere order of steps does not."""
        return planned.step.needs_written and any(
            self.course.results.status(need) is StepStatus.SKIPPED for need in planned.step.needs
        )

    def _conclude(self, more: bool) -> Halt:
        halt = self._halt
        if halt.failed is None and halt.ended is None:
            halt.drained = self.course.draining and (more or bool(self._parked))
            halt.parked = bool(self._parked) and not halt.drained
            times = [until for until in self._parked.values() if until is not None]
            halt.until = min(times, default=None)
        return halt

    def _left(self, planned: PlannedStep) -> list[StepRecord]:
        """A step, and items of it, that were begun and are not over when all is stopped."""
        open_ = self.course.results.unfinished(planned.id)
        if planned.id in self._begun:
            open_.setdefault(NO_ITEM, Known(StepStatus.RUNNING))
        return [self._stopped(planned, item, known) for item, known in open_.items()]

    def _stopped(self, planned: PlannedStep, item: int, known: Known) -> StepRecord:
        under_way = known.status is StepStatus.RUNNING and known.effect == Effect.ONCE
        unknown = under_way or known.status is StepStatus.UNKNOWN
        status = StepStatus.UNKNOWN if unknown else StepStatus.CANCELLED
        self.course.results.put(planned.id, item, Known(status))
        return StepRecord(
            step=planned.id,
            item=item,
            status=status,
            tries=max(known.tries, 1),
            input=known.packed_input,
            output=None,
            error=None,
            effect=known.effect,
            note=None,
            started_at=known.started_at,
            finished_at=None if unknown else self.course.env.clock.micros(),
        )


def _restored(known: Known) -> Failed:
    error = known.error or {}
    return Failed(
        error.get("message", "the step failed"),
        code=error.get("code", "step-failed"),
        cause=Cause.ERROR,
    )
