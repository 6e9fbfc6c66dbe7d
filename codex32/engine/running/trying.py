"""One step, or one item of it: with what it is done, how often, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from codex32.engine.records import approvals, rates
from codex32.engine.records.publishing import check_publications
from codex32.engine.running import faults
from codex32.engine.running.asking import asking
from codex32.engine.running.context import EngineContext
from codex32.engine.running.course import Course
from codex32.engine.running.entry import Entry, Parked, StepResult
from codex32.engine.running.origins import Way
from codex32.engine.running.pacing import await_slot
from codex32.engine.running.parts import Parts
from codex32.engine.running.plan import PlannedStep
from codex32.engine.running.results import Known
from codex32.engine.running.timer import Timer
from codex32.engine.values.params import check_output
from codex32.kernel.clock import to_micros
from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.errors import Codex32Error, StepFault
from codex32.kernel.fault_points import fault_point
from codex32.kernel.hook_calls import came_from_outside
from codex32.kernel.json_values import JSON, is_json
from codex32.kernel.models import NO_ITEM
from codex32.kernel.outcomes import Effect, Ended, Failed, Outcome, Skipped, Succeeded, Waiting
from codex32.kernel.state_keys import key_fault
from codex32.kernel.statuses import StepStatus
from codex32.kernel.views import StepInfo, Waited

#: A step that takes longer than this is shown as running; a quicker one is recorded once.
SHOW_AFTER_SECONDS = 0.2
#: Of the time that a step has left, what a part of it may take.
_SHARE_OF_PARTS = 0.95
#: Faults after which nobody can tell how far an effect had come.
_IN_DOUBT = frozenset({faults.TIMED_OUT, faults.BROKEN})
_OUTCOMES = (Succeeded, Failed, Waiting, Skipped, Ended)


class Trying:
    """The tries of one step or item within one attempt."""

    def __init__(self, course: Course, planned: PlannedStep, item: int, value: JSON) -> None:
        self.course = course
        self.env = course.env
        self.planned = planned
        self.entry = Entry(course, planned.id, item)
        self.item = item
        self.scope = course.scope
        if item != NO_ITEM:
            self.scope = {**course.scope, "item": value, "index": item}
        self.params: Mapping[str, JSON] = {}
        self._prepared = False
        #: How strangers reach what it is given; None where its expressions tell.
        self.way: Way | None = None

    async def run(self) -> StepResult:
        """Go on from where earlier attempts stopped, to an end or to a wait."""
        prior = self.entry.prior
        if prior is None:
            return await self._try(None)
        if prior.status is StepStatus.RUNNING and prior.effect == Effect.ONCE:
            fault = Failed("the worker was lost while the effect was under way", unknown=True)
            return await self.entry.unknown(fault)
        if prior.status is StepStatus.UNKNOWN:
            self.course.in_doubt = self.planned.id
            return Parked(None, counts=False)
        return await self._go_on(prior)

    async def _go_on(self, prior: Known) -> StepResult:
        """After a wait, a worker's death, or a pause before another try."""
        wait, until = prior.note.get("wait"), prior.note.get("until")
        if wait is not None and wait.get("approval") is not None:
            return await self._go_on_asking(prior.note)
        slot = prior.note.get("rate")
        if wait is not None and wait.get("event"):
            return await self._go_on_with_event(prior.note)
        # What a tool waits for may come before the time until which it waits for it at most.
        named = wait is not None and wait.get("token") is not None
        answerable = named or (wait is not None and bool(self.planned.tools))
        over = until is not None and until <= self.env.clock.micros()
        waits = prior.status is StepStatus.WAITING and until is not None
        if waits and not over and not answerable:
            if slot is not None:
                self.course.await_slot(slot["key"], slot["at"])
            return Parked(until)
        if wait is None:
            return await self._try(None)
        await self.entry.waited(prior.note)
        return await self._try(Waited(wait.get("note"), wait.get("answer"), over))

    async def _go_on_asking(self, note: Mapping[str, JSON]) -> StepResult:
        """After people were asked: when they have decided, or their time is over."""
        wait, until = note["wait"], note["until"]
        settled = await self.course.settled(wait["approval"], until)
        if settled is None:
            return self.entry.still_asking(wait["approval"], until)
        self.course.awaits.pop((self.planned.id, self.item), None)
        await self.entry.waited(note)
        answer = approvals.answer_of(settled, await self.course.unpack(settled.answer))
        return await self._try(Waited(wait.get("note"), answer, answer is None))

    async def _go_on_with_event(self, note: Mapping[str, JSON]) -> StepResult:
        wait, until = note["wait"], note["until"]
        event = wait.get("answer") or await self.entry.event()
        if event is None and (until is None or until > self.env.clock.micros()):
            return self.entry.still_awaiting(until)
        await self.entry.waited({**note, "wait": {**wait, "answer": event}})
        return await self._try(Waited(wait.get("note"), event, event is None))

    async def _try(self, waited: Waited | None) -> StepResult:
        if waited is None and self.planned.paced:
            try:
                parked = await self._await_slot()
            except Codex32Error as error:  # of the key, or of the parameters
                self.entry.begin(another_try=True)
                return await self._conclude(faults.as_failed(error))
            if parked is not None:
                return parked
        self.entry.begin(another_try=waited is None)
        try:
            outcome = await self._outcome(waited)
        except Exception as error:
            outcome = faults.as_failed(error)
        fault_point("step.after_try")
        try:
            return await self._conclude(outcome)
        except RecursionError:
            return await self._failed(Failed("its output is nested too deep", code=faults.BROKEN))

    async def _await_slot(self) -> Parked | None:
        """Wait for the slot of the step's own rate limit, or of its notifier's for the target."""
        limit, workspace = self.planned.rate, self.course.claim.workspace
        if limit is not None:
            key, rule = limit.name(workspace, self.scope), limit.rule
            return await await_slot(self.course, self.entry, key, rule)
        await self._prepare()
        told = self.planned.told(self.params)
        pace = rates.of_target(workspace, told, self.env.notifier_rate)
        return pace and await await_slot(self.course, self.entry, *pace)

    async def _outcome(self, waited: Waited | None) -> Outcome:
        await self._prepare()
        info = StepInfo(
            id=self.planned.id,
            type=self.planned.step.type,
            number=self.entry.tries,
            idempotency_key=self._idempotency_key(),
            item=None if self.item == NO_ITEM else self.item,
        )
        await self.entry.running()
        fault_point("effect.after_entry")
        limit = self.planned.step.timeout_seconds
        timer = Timer(limit)
        context = EngineContext(self.course, info, waited, timer, lambda: _parts(self, timer))
        shown = self.env.deadlines.call_later(SHOW_AFTER_SECONDS, self.entry.show)
        try:
            if limit is None:
                return await self._call(context)
            async with timer.timeout:
                return await self._call(context)
        except TimeoutError:
            if limit is None or not timer.timeout.expired():
                raise
            return faults.timed_out(limit)
        finally:
            shown.cancel()
            self.entry.sandbox = context.sandbox

    async def _call(self, context: EngineContext) -> Outcome:
        """Call the bot type. Whatever it does, only its own step suffers."""
        name = self.planned.step.type
        try:
            outcome = await self.env.call(self.planned.type, context, self.params)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return Failed(f"bot type {name} cancelled itself", code=faults.BROKEN)
        except BaseException as error:
            if isinstance(error, Exception) or came_from_outside(error):
                raise
            # SystemExit and its like would end the event loop, and all that runs on it.
            message = f"bot type {name} raised {type(error).__name__}: {error}"
            return Failed(message, code=faults.BROKEN)
        return outcome if isinstance(outcome, _OUTCOMES) else _no_outcome(name, outcome)

    async def _prepare(self) -> None:
        """Evaluate the parameters, once."""
        if self._prepared:
            return
        planned = self.planned
        scope = self.scope
        if planned.params.secrets:
            secrets = {name: await self.course.secret(name) for name in planned.params.secrets}
            scope = {**scope, "secrets": secrets}
        self.params = planned.params.evaluate(scope)
        planned.check(self.params)
        book = self.course.book
        ready = planned.packed_params if book.masker.idle else None
        self.entry.input = ready or await book.pack(self.params)
        self.entry.effect = self._judged_effect()
        self._prepared = True

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
        return f"{self.course.lineage.keys}:{self.planned.id}{place}"

    async def _conclude(self, outcome: Outcome) -> StepResult:
        entry = self.entry
        match outcome:
            case Succeeded():
                if not is_json(outcome.output):
                    message = f"bot type {self.planned.step.type} returned what is no JSON"
                    return await self._failed(Failed(message, code=faults.BROKEN))
                try:
                    _check(self.planned.type, outcome)
                except StepFault as fault:
                    return await entry.done(StepStatus.FAILED, failed=faults.as_failed(fault))
                return await entry.done(
                    StepStatus.SUCCEEDED,
                    output=outcome.output,
                    state=outcome.state,
                    published=outcome.events,
                )
            case Skipped():
                return await entry.done(StepStatus.SKIPPED, note={"reason": outcome.reason})
            case Ended():
                note = {"ended": {"status": outcome.status, "message": outcome.message}}
                return await entry.done(
                    StepStatus.SUCCEEDED, output=outcome.output, note=note, ended=outcome
                )
            case Waiting():
                return await self._wait(outcome)
            case Failed():
                return await self._failed(outcome)

    async def _wait(self, outcome: Waiting) -> StepResult:
        until = None if outcome.until is None else to_micros(outcome.until)
        wait: dict[str, JSON] = {"token": outcome.token, "note": outcome.note}
        wait |= {"event": outcome.event.pattern} if outcome.event else {}
        note, book = {"wait": wait, "until": until}, self.course.book
        if outcome.approval is None:
            return await self.entry.park(until, note, awaited=outcome.event)
        try:
            ask = await asking(outcome.approval, book, self.planned.id, self.item, until)
        except StepFault as fault:
            return await self._failed(faults.as_failed(fault))
        wait["approval"] = ask.asked.id
        return await self.entry.ask(ask, note)

    async def _failed(self, outcome: Failed) -> StepResult:
        entry = self.entry
        doubtful = outcome.unknown or outcome.code in _IN_DOUBT
        if doubtful and entry.effect is Effect.ONCE:
            return await entry.unknown(outcome)
        delay = self._delay(outcome)
        if delay is None:
            return await entry.done(StepStatus.FAILED, failed=outcome)
        until = to_micros(self.env.clock.now() + timedelta(seconds=delay))
        self.course.book.log(
            entry.step,
            entry.item,
            "warning",
            f"try {entry.tries} failed, the next follows in {delay:.1f} s: {outcome.message}",
            {},
        )
        return await entry.park(until, {"until": until}, error=faults.as_json(outcome))

    def _delay(self, outcome: Failed) -> float | None:
        """Seconds until another try, or None where none follows."""
        tries = self.entry.tries
        if self.env.decide_retry is not None:
            info = StepInfo(self.planned.id, self.planned.step.type, tries, "")
            decision = self.env.decide_retry(self.course.claim.bot_name, info, outcome)
            if decision is not None:
                return decision.delay_seconds if decision.retry else None
        if not outcome.retryable or tries >= self.planned.retry.attempts:
            return None
        return faults.retry_delay(self.planned.retry, tries, outcome)


def _parts(trying: Trying, timer: Timer) -> Parts:
    """The parts of a try; each is a try of its own, of what expressions see more in.

    A part ends before its step's time does: so that one which may have had an effect is recorded
    as such, and another tells the step that it took too long.
    """
    course, planned, item = trying.course, trying.planned, trying.item

    async def begin(part: PlannedStep, more: Mapping[str, JSON], way: Way) -> StepResult:
        left = timer.left
        if left is not None:
            own = replace(part.step, timeout_seconds=left * _SHARE_OF_PARTS)
            part = replace(part, step=own)
        inner = Trying(course, part, item, None)
        inner.scope, inner.way = {**trying.scope, **more}, way
        return await inner.run()

    way = course.origins.of(planned) if trying.way is None else trying.way
    return Parts(course, planned, item, trying.scope, begin, way)


def _check(bot_type: BotType, outcome: Succeeded) -> None:
    """Refuse what could not be written down: all that comes after it would be lost with it."""
    check_output(bot_type, outcome.output)
    for key, value in outcome.state.items():
        if fault := key_fault(key):
            raise StepFault(fault, code="state")
        if not is_json(value):
            raise StepFault(f"what the state shall hold as {key!r} is no JSON", code="state")
    check_publications(outcome.events)


def _no_outcome(name: str, given: object) -> Failed:
    kind = type(given).__name__
    return Failed(f"bot type {name} must return an outcome, not {kind}", code=faults.BROKEN)
