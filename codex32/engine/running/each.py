"""``foreach``: a step once an item, some at a time, each item recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from codex32.engine.records.advance import StepRecord
from codex32.engine.running.course import Course
from codex32.engine.running.entry import Done, Parked, StepResult, stopped
from codex32.engine.running.plan import PlannedStep
from codex32.engine.running.results import Known
from codex32.engine.running.trying import Trying
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM
from codex32.kernel.outcomes import Failed
from codex32.kernel.statuses import StepStatus


class Each:
    """All items of one step within one attempt.

    The list is recorded before the first item begins, so that an attempt that goes on later
    works on the same list. A finished item is durable before another takes its place.
    """

    def __init__(self, course: Course, planned: PlannedStep) -> None:
        self.course = course
        self.planned = planned
        self.started_at = course.env.clock.micros()
        self.failed: Failed | None = None
        self.parked: list[int | None] = []

    async def run(self) -> StepResult:
        """Run every item that is not finished yet.

        Raises:
          ExpressionFault: What ``foreach`` yields is no list.
        """
        items = await self._items()
        results = self.course.results
        left = [
            index
            for index in range(len(items))
            if (known := results.get(self.planned.id, index)) is None or not known.final
        ]
        self._weigh_finished(items)
        if left and self.failed is None:
            await self._run_items(items, left)
        if self.parked and self.failed is None:
            times = [until for until in self.parked if until is not None]
            return Parked(min(times, default=None))
        if self.failed is not None:
            await self._stop(left)
        return await self._whole(items)

    async def _stop(self, left: Sequence[int]) -> None:
        """Stop the items that wait: one failed, and with it the step."""
        open_ = self.course.results.unfinished(self.planned.id)
        indexes = frozenset(left)
        waiting = [(place, known) for place, known in open_.items() if place[1] in indexes]
        records = [stopped(self.course, *place, known) for place, known in waiting]
        if records:
            await self.course.book.record_stopped(records, asked=self.course.asked)

    async def _items(self) -> Sequence[JSON]:
        known = self.course.results.get(self.planned.id)
        if known is not None and isinstance(known.input, list):
            self.started_at = known.started_at or self.started_at
            return known.input
        assert self.planned.foreach is not None
        items = self.planned.foreach.evaluate(self.course.scope)
        if not isinstance(items, list):
            raise ExpressionFault(
                f"foreach of step {self.planned.id} must yield a list, not {type(items).__name__}"
            )
        packed = await self.course.book.pack(items)
        await self.course.book.record(self._record(StepStatus.RUNNING, input=packed))
        fault_point("foreach.after_list")
        self.course.results.put(
            self.planned.id,
            NO_ITEM,
            Known(
                StepStatus.RUNNING,
                input=items,
                started_at=self.started_at,
                packed_input=packed,
            ),
        )
        return items

    def _weigh_finished(self, items: Sequence[JSON]) -> None:
        for index in range(len(items)):
            known = self.course.results.get(self.planned.id, index)
            if known is not None and known.status is StepStatus.FAILED:
                self._failed(Failed(known.error["message"], code=known.error["code"]), index)

    async def _run_items(self, items: Sequence[JSON], left: Sequence[int]) -> None:
        queue = iter(left)

        async def lane() -> None:
            for index in queue:
                if self.failed is not None or self.course.draining:
                    return
                if await self._item(index, items[index]):
                    return

        lanes = [
            asyncio.create_task(lane()) for _ in range(min(self.planned.step.parallel, len(left)))
        ]
        try:
            await asyncio.gather(*lanes)
        finally:
            for task in lanes:
                task.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
        if self.course.draining and any(True for _ in queue):
            self.parked.append(None)

    async def _item(self, index: int, value: JSON) -> bool:
        """Do an item; whether it waits and those after it wait behind it."""
        result = await Trying(self.course, self.planned, index, value).run()
        if isinstance(result, Parked):
            self.parked.append(result.until)
            return result.counts
        await self.course.book.record_done([result.record], result.state, result.events)
        fault_point("foreach.after_item")
        self.course.results.put(self.planned.id, index, result.known)
        self.course.keep(result.state)
        if result.failed is not None:
            self._failed(result.failed, index)
        return False

    def _failed(self, failed: Failed, index: int) -> None:
        if self.planned.step.on_item_error == "fail" and self.failed is None:
            self.failed = Failed(
                f"item {index}: {failed.message}", code=failed.code, cause=failed.cause
            )

    async def _whole(self, items: Sequence[JSON]) -> Done:
        """The step itself, once no item is left: the outputs, or the items that failed."""
        outputs: list[JSON] = []
        faults: list[JSON] = []
        for index in range(len(items)):
            known = self.course.results.get(self.planned.id, index)
            outputs.append(known.output if known else None)
            if known is not None and known.status is StepStatus.FAILED:
                faults.append({"index": index, **known.error})
        status = StepStatus.SUCCEEDED if self.failed is None else StepStatus.FAILED
        error: JSON = None
        if self.failed is not None:
            error = {"message": self.failed.message, "code": self.failed.code}
        elif faults:
            error = {"message": f"{len(faults)} of {len(items)} items failed", "code": "items"}
        if error is not None:
            error["items"] = faults
        _, packed_output = await self.course.book.pack_masked(outputs)
        _, packed_error = await self.course.book.pack_masked(error)
        known = Known(status, input=items, output=outputs, error=error)
        record = self._record(
            status,
            input=await self.course.book.pack(items),
            output=packed_output,
            error=packed_error,
            finished_at=self.course.env.clock.micros(),
        )
        return Done(record, known, failed=self.failed)

    def _record(
        self,
        status: StepStatus,
        *,
        input: str | None,
        output: str | None = None,
        error: str | None = None,
        finished_at: int | None = None,
    ) -> StepRecord:
        return StepRecord(
            step=self.planned.id,
            item=NO_ITEM,
            status=status.value,
            tries=1,
            input=input,
            output=output,
            error=error,
            effect="none",
            note=None,
            started_at=self.started_at,
            finished_at=finished_at,
        )
