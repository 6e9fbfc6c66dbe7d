"""One worker's attempt at an execution: from its claim to an end, a wait, or giving it back."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codex32.engine.records import cancelling, rates
from codex32.engine.records.advance import Advance, Claim, End
from codex32.engine.running.course import Course
from codex32.engine.running.environment import Environment
from codex32.engine.running.notebook import ClaimLost
from codex32.engine.running.plan import Section
from codex32.engine.running.walk import Halt, Walk
from codex32.kernel.errors import Codex32Error
from codex32.kernel.fault_points import fault_point
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.statuses import Cause, Status
from codex32.kernel.subject import Subject, subject
from codex32.kernel.text import storable

log = logging.getLogger(__name__)

#: ``on_failure`` and ``finally`` have this long, whatever the bot's own limit was.
CLOSING_LIMIT_SECONDS = 600.0


@dataclass(slots=True)
class Verdict:
    """How an execution shall end."""

    status: Status
    cause: Cause | None = None
    message: str = ""
    step: str | None = None
    output: JSON = None

    def as_json(self, packed_output: str | None) -> JSON:
        """For the row, while ``on_failure`` and ``finally`` run; the output may be a file."""
        return {
            "status": self.status,
            "cause": self.cause,
            "message": self.message,
            "step": self.step,
            "output": packed_output,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], output: JSON) -> Verdict:
        """What :meth:`as_json` made, with its output unpacked."""
        cause = data["cause"] and Cause(data["cause"])
        return cls(Status(data["status"]), cause, data["message"], data["step"], output)


class Attempt:
    """Runs one claimed execution.

    Attributes:
      course: How far it has come.
    """

    def __init__(self, env: Environment, claim: Claim) -> None:
        self.env = env
        self.claim = claim
        self.course = Course(env, claim)
        self.book = self.course.book
        self._task: asyncio.Task[None] | None = None
        self._cancelled: str | None = None
        self._expired = self._abandoned = False
        self._in_main = False

    # from outside

    async def run(self) -> None:
        """Run until the execution ends, waits, or is given back. Never raises but when stopped."""
        self._task = asyncio.current_task()
        claim = self.claim
        trace = self.env.trace(claim.id, claim.traceparent, claim.attempt)
        subject.set(Subject(claim.workspace, claim.bot_name, claim.id, trace=trace))
        try:
            await self._run()
        except ClaimLost:
            log.warning("%s: another worker holds this execution now", self.claim.id)
        except Codex32Error as error:
            await self._end_quietly(Verdict(Status.FAILED, Cause.INVALID, error.message))
        except Exception as error:
            frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
            log.error("%s: the engine failed: %s\n%s", self.claim.id, type(error).__name__, frames)
            message = f"the engine failed: {type(error).__name__}: {error}"
            await self._end_quietly(Verdict(Status.FAILED, Cause.ERROR, message))
        finally:
            self.book.close()

    def cancel(self, message: str = "cancelled by request") -> None:
        """Stop the steps and end the execution as cancelled, after its ``finally`` steps."""
        if self._cancelled is None:
            self._cancelled = message
            if self._in_main and self._task is not None:
                self._task.cancel()

    def _expire(self) -> None:
        """The execution's time is over."""
        self._expired = True
        if self._in_main and self._task is not None:
            self._task.cancel()

    def drain(self) -> None:
        """Start no further step; the execution is given back when those under way are done."""
        self.course.draining = True

    def abandon(self) -> None:
        """Stop at once and record nothing: the claim is lost, or about to be."""
        self._abandoned = True
        if self._task is not None:
            self._task.cancel()

    # from its beginning to its end

    async def _run(self) -> None:
        claim = self.claim
        fault_point("attempt.begin")
        await self.course.open()
        if claim.cancel_at is not None:
            self._cancelled = "cancelled by request"
        verdict = None
        if claim.closing is not None:
            data = loads(claim.closing)
            verdict = Verdict.from_json(data, await self.course.unpack(data.get("output")))
        else:
            slot = await self._await_slot()
            if slot is not None:
                halt = Halt(parked=True, until=slot - rates.NEAR_MICROS)
                await self._leave(halt, slot)
                return
            halt, verdict = await self._main()
            if verdict is None:
                await self._leave(halt)
                return
        await self._close(verdict)

    async def _await_slot(self) -> int | None:
        """Wait for the slot of the bot's rate limit before the first step, or tell when it is."""
        limit, claim = self.course.plan.rate, self.claim
        if limit is None or self._cancelled is not None:
            return None
        if claim.attempt > 1 and self.course.results.begun_since(claim.started_at):
            return None
        key = limit.name(claim.workspace, self.course.scope)
        slot = await rates.turn(self.env.door, self.env.clock, key, limit.rule, claim.rate_at)
        if slot is not None:
            self.course.await_slot(key, slot)
        return slot

    async def _main(self) -> tuple[Halt, Verdict | None]:
        """Walk the steps, within the bot's time and until a cancellation."""
        walk = Walk(self.course, self.course.plan.steps)
        left = self.course.seconds_left()
        limit = self.env.deadlines.call_later(max(left, 0), self._expire)
        self._in_main = True
        try:
            self._expired = left <= 0
            if self._cancelled is not None or self._expired:
                raise asyncio.CancelledError
            halt = await walk.run()
        except asyncio.CancelledError:
            if self._abandoned or not (self._expired or self._cancelled is not None):
                raise
            self._in_main = False
            while self._task is not None and self._task.uncancel():
                pass
            return Halt(), await self._stopped(walk)
        finally:
            self._in_main = False
            limit.cancel()
        if halt.failed is not None:
            failed = halt.failed
            return halt, Verdict(Status.FAILED, failed.cause, failed.message, halt.step)
        if halt.ended is not None:
            ended = halt.ended
            cause = Cause.ERROR if ended.status == "failed" else None
            return halt, Verdict(
                Status(ended.status), cause, ended.message, halt.step, ended.output
            )
        if halt.parked or halt.drained:
            return halt, None
        return halt, _success(self.course)

    async def _stopped(self, walk: Walk) -> Verdict:
        """Stop the walk, and tell for which of the two reasons."""
        await walk.stop()
        if self._cancelled is not None:
            why = await self.env.door.read_surely(cancelling.reason, self.claim.id)
            return Verdict(Status.CANCELLED, message=why or self._cancelled)
        limit = self.course.plan.bot.timeout_seconds
        message = f"the execution ran longer than its limit of {limit:g} s"
        return Verdict(Status.FAILED, Cause.TIMEOUT, message)

    async def _close(self, verdict: Verdict) -> None:
        """Run ``on_failure`` and ``finally``, whose faults change nothing, then end."""
        plan = self.course.plan
        sections = [plan.on_failure] if verdict.status is Status.FAILED else []
        sections = [section for section in (*sections, plan.finally_) if section]
        if sections:
            await self._prepare_closing(verdict)
        # Cancelled once more, after it had begun to close: it waits for nothing any more.
        hurried = self.claim.closing is not None and self.claim.cancel_at is not None
        for section in sections:
            halt = await self._section(section)
            if halt is not None and not (hurried and halt.parked):
                await self._leave(halt)
                return
        await self._end(verdict)

    async def _prepare_closing(self, verdict: Verdict) -> None:
        """Record how the execution will end, and let closing steps see it."""
        if self.claim.closing is None:
            _, output = await self.book.pack_masked(verdict.output)
            closing = self.book.masker.mask_value(verdict.as_json(output))
            now = self.env.clock.micros()
            await self.book.write(Advance(self.claim, closing=dumps(closing), stopped_at=now))
            fault_point("execution.closing")
        self.course.results.fill(planned.id for planned in self.course.plan.steps)
        self.course.scope["failure"] = {
            "step": verdict.step or "",
            "cause": verdict.cause or "",
            "message": self.book.masker.mask(verdict.message),
        }

    async def _section(self, section: Section) -> Halt | None:
        """Walk a closing section; where it must wait or be given back, how it stands."""
        walk = Walk(self.course, section, closing=True)
        self.course.closes_at = self.env.clock.steady() + int(CLOSING_LIMIT_SECONDS * 1e6)
        try:
            async with asyncio.timeout(CLOSING_LIMIT_SECONDS):
                halt = await walk.run()
        except TimeoutError:
            await walk.stop()
            return None
        return halt if halt.parked or halt.drained else None

    # ends

    async def _end(self, verdict: Verdict) -> None:
        _, packed = await self.book.pack_masked(verdict.output)
        message = storable(self.book.masker.mask(verdict.message))
        fault_point("execution.before_end")
        now = self.env.clock.micros()
        await self.book.write(
            Advance(
                self.claim,
                end=End(
                    status=verdict.status,
                    at=now,
                    outcome=verdict.status,
                    spent=self.course.spent,
                    cause=verdict.cause,
                    message=message,
                    output=packed,
                ),
                asked=self.course.asked,
            )
        )
        fault_point("execution.after_end")
        if self.course.paced:
            self._give_back_slots(now)

    def _give_back_slots(self, now: int) -> None:
        """What the execution will not start any more, others may."""
        slots = self.course.results.slots()
        limit = self.course.plan.rate
        if limit is not None and self.claim.rate_at is not None:
            slots.append((limit.name(self.claim.workspace, self.course.scope), self.claim.rate_at))
        for key, slot in slots:
            if slot > now:
                self.env.door.post(rates.give_back, rates.GivenBack(key, slot, now))

    async def _leave(self, halt: Halt, rate_at: int | None = None) -> None:
        """Let go of the execution, which goes on later: here or in another worker."""
        now = self.env.clock.micros()
        awaits = tuple(self.course.awaits.values())
        if halt.drained:
            end = End(Status.QUEUED, now, "released", ready_at=now, spent=self.course.spent)
        else:
            end = End(
                Status.WAITING,
                now,
                "waiting",
                spent=self.course.spent,
                message=self.course.waits_for(now),
                ready_at=halt.until,
                children=self.course.results.tokens(),
                awaiting=frozenset(self.course.awaiting),
            )
        fault_point("execution.before_leave")
        await self.book.write(Advance(self.claim, rate_at=rate_at, end=end, awaits=awaits))
        fault_point("execution.after_leave")

    async def _end_quietly(self, verdict: Verdict) -> None:
        try:
            await self._end(verdict)
        except ClaimLost:
            log.warning("%s: another worker holds this execution now", self.claim.id)


def _success(course: Course) -> Verdict:
    """The end of an execution all of whose steps are done."""
    if course.plan.output is None:
        return Verdict(Status.SUCCEEDED)
    try:
        return Verdict(Status.SUCCEEDED, output=course.plan.output.evaluate(course.scope))
    except Codex32Error as error:
        return Verdict(Status.FAILED, Cause.ERROR, f"output: {error.message}")
