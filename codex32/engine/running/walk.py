"""Going through a section's steps in the order their needs allow, several at once if need be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from codex32.engine.records.advance import StepRecord
from codex32.engine.running import faults
from codex32.engine.running.course import Course
from codex32.engine.running.each import Each
from codex32.engine.running.entry import Done, Parked, StepResult, skipped, stopped
from codex32.engine.running.plan import PlannedStep, Section
from codex32.engine.running.results import Known
from codex32.engine.running.trying import Trying
from codex32.kernel.errors import Codex32Error
from codex32.kernel.models import NO_ITEM
from codex32.kernel.outcomes import Ended, Failed
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

    def __init__(self, course: Course, section: Section, *, closing: bool = False) -> None:
        self.course = course
        self.closing = closing
        self._followers = section.followers
        self._pending = {planned.id: planned for planned in section}
        self._running: dict[asyncio.Task[StepResult], PlannedStep] = {}
        self._parked: dict[str, int | None] = {}
        self._begun: set[str] = set()
        self._halt = Halt()

    async def run(self) -> Halt:
        """Walk until nothing can be started and nothing is under way."""
        self._take_up()
        ready = self._startable(self._pending.values())
        while True:
            if self._stopping():
                ready = []
            if len(ready) == 1 and not self._running and not self._parked:
                # The common case, a line of steps, needs no task of its own.
                await self.course.book.flush()
                ready = await self._apply(ready[0], await self._step(ready[0]))
                continue
            if ready:
                await self.course.book.flush()
            for planned in ready:
                self._running[asyncio.create_task(self._step(planned))] = planned
            if not self._running:
                break
            ready = await self._wait()
        if self._halt.failed is not None or self._halt.ended is not None:
            await self._let_go()
        return self._conclude()

    async def stop(self) -> None:
        """Stop the steps that are under way, and record where that left them."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.course.book.flush()
        records = [record for planned in self._pending.values() for record in self._left(planned)]
        if records:
            await self.course.book.record_stopped(records, asked=self.course.asked)

    async def _let_go(self) -> None:
        """Stop what waits for something that does not matter any more."""
        if any(self.course.results.unfinished(step_id) for step_id in self._pending):
            await self.stop()

    def _take_up(self) -> None:
        """Pass over what earlier attempts finished, and find how it ended."""
        if self.course.results.empty:
            return
        for step_id, planned in list(self._pending.items()):
            known = self.course.results.get(step_id)
            if known is None or not known.final:
                continue
            del self._pending[step_id]
            self._weigh(planned, known, None)

    def _stopping(self) -> bool:
        halt = self._halt
        return halt.failed is not None or halt.ended is not None or self.course.draining

    def _startable(self, steps: Iterable[PlannedStep]) -> list[PlannedStep]:
        """Those of ``steps`` that are still to be done, and whose needs are done."""
        done = self.course.results.done
        return [
            planned
            for planned in steps
            if planned.id in self._pending
            and planned.id not in self._parked
            and all(done(need) for need in planned.step.needs)
        ]

    async def _wait(self) -> list[PlannedStep]:
        """Until a step is done or a parked one may go on; what can be started then."""
        times = [until for until in self._parked.values() if until is not None]
        timeout = None
        if times:
            timeout = max(min(times) - self.course.env.clock.micros(), 0) / 1e6
        done, _ = await asyncio.wait(
            self._running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        ready: list[PlannedStep] = []
        for task in done:
            ready += await self._apply(self._running.pop(task), task.result())
        now = self.course.env.clock.micros()
        due = [step for step, until in self._parked.items() if until is not None and until <= now]
        for step in due:
            del self._parked[step]
        return ready + [self._pending[step] for step in due]

    async def _apply(self, planned: PlannedStep, result: StepResult) -> list[PlannedStep]:
        """Take a step's result in; what can be started because of it."""
        if isinstance(result, Parked):
            self._parked[planned.id] = result.until
            return []
        course = self.course
        course.results.put(planned.id, NO_ITEM, result.known)
        course.keep(result.state)
        course.book.hold(result.record, result.state, result.events)
        del self._pending[planned.id]
        if self._running:
            await course.book.flush()
        self._weigh(planned, result.known, result.failed)
        if result.ended is not None and not self.closing:
            self._halt.ended, self._halt.step = result.ended, planned.id
        followers = self._followers[planned.id]
        return self._startable(followers) if followers else []

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
        try:
            if course.results.get(planned.id) is None:
                if planned.condition is not None:
                    if not planned.condition.evaluate(course.scope):
                        return self._skipped(planned, "its condition does not hold")
                elif self._need_was_skipped(planned):
                    return self._skipped(planned, "a step it needs was skipped")
            if planned.foreach is not None:
                return await Each(course, planned).run()
        except Codex32Error as error:
            return await self._fault(planned, faults.as_failed(error))
        return await Trying(course, planned, NO_ITEM, None).run()

    def _skipped(self, planned: PlannedStep, reason: str) -> Done:
        return skipped(planned.id, reason, self.course.env.clock.micros())

    async def _fault(self, planned: PlannedStep, failed: Failed) -> Done:
        """A step that cannot even begin."""
        now = self.course.env.clock.micros()
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

    def _conclude(self) -> Halt:
        halt = self._halt
        if self._pending and halt.failed is None and halt.ended is None:
            more = bool(self._parked or self._startable(self._pending.values()))
            halt.drained = self.course.draining and more
            halt.parked = bool(self._parked) and not halt.drained
            times = [until for until in self._parked.values() if until is not None]
            halt.until = min(times, default=None)
        return halt

    def _left(self, planned: PlannedStep) -> list[StepRecord]:
        """A step, and items of it, that were begun and are not over when all is stopped."""
        open_ = self.course.results.unfinished(planned.id)
        if planned.id in self._begun:
            open_.setdefault((planned.id, NO_ITEM), Known(StepStatus.RUNNING))
        return [stopped(self.course, *place, known) for place, known in open_.items()]


def _restored(known: Known) -> Failed:
    error = known.error or {}
    return Failed(
        error.get("message", "the step failed"),
        code=error.get("code", "step-failed"),
        cause=Cause.ERROR,
    )
