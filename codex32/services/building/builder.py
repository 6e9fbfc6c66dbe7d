"""Who works on sessions: one process at a time each, and another where that one dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from codex32.kernel.caller import Caller
from codex32.kernel.clock import Clock
from codex32.kernel.database import Door
from codex32.kernel.errors import Codex32Error, StepFault
from codex32.kernel.fault_points import fault_point
from codex32.kernel.model_errors import BudgetExceeded, ModelFault
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.redaction import scrub
from codex32.kernel.subject import subject
from codex32.services.ai.money import shown
from codex32.services.bots.written import storable
from codex32.services.building import accepting, mending, sessions
from codex32.services.building.accepting import Acceptance
from codex32.services.building.faults import BuildConflict, BuilderUnset
from codex32.services.building.looking import Workshop
from codex32.services.building.outcome import outcome
from codex32.services.building.presenting import Presenter
from codex32.services.building.session import Session, Stage
from codex32.services.building.sessions import Order
from codex32.services.building.stages import Stages, Stuck

log = logging.getLogger(__name__)

#: After so long without a sign of life, others take a session over.
LEASE_SECONDS = 30.0
#: How often a process looks for sessions that nobody works on.
LOOK_SECONDS = 5.0
#: Before a model that did not answer is asked again, where it does not say when.
PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What the settings choose for sessions that say nothing themselves.

    Attributes:
      seconds: How long a session may be worked on at a time.
      at_once: How many sessions this process works on at a time.
    """

    model: str | None = None
    fallback: Sequence[str] = ()
    budget_nano: int = 500_000_000
    seconds: float = 900.0
    at_once: int = 2

    def order(self, model: str | None, budget_nano: int | None) -> Order:
        """An order of whoever may name a model, and a smaller budget; what is to be done is open.

        Raises:
          BuilderUnset: Nobody named a model.
        """
        chosen = model or self.model
        if chosen is None:
            raise BuilderUnset
        most = self.budget_nano
        budget = most if budget_nano is None else min(budget_nano, most)
        return Order("", chosen, budget, self.seconds, self.fallback if model is None else ())


@dataclass
class Builder:
    """Begins sessions and works on them; belongs to the running event loop."""

    door: Door
    clock: Clock
    payloads: PayloadStore
    workshop: Workshop
    stages: Stages
    presenter: Presenter
    choice: Choice
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def begin(
        self,
        description: str,
        caller: Caller,
        *,
        bot: str | None = None,
        model: str | None = None,
        budget_nano: int | None = None,
    ) -> Session:
        """A new session, for whoever works on sessions.

        Raises:
          BuilderUnset: Nobody named a model.
          BotNotFound: There is no bot to refine.
          SecretsWritten: Its file holds a secret.
        """
        order = self.choice.order(model, budget_nano)
        heard = (await self.workshop.listener(caller.workspace)).heard(description)
        return await self._begun(replace(order, description=heard, bot=bot), caller)

    async def repair(
        self,
        execution_id: str,
        caller: Caller,
        *,
        hint: str = "",
        model: str | None = None,
        budget_nano: int | None = None,
    ) -> Session:
        """A new session that mends the bot of a failed execution.

        Args:
          execution_id: Which.
          caller: Whose it becomes.
          hint: What the person says about it; a model is asked then, even where a rule knows.
          model: As :meth:`begin`, and so ``budget_nano``.
          budget_nano: The most.

        Raises:
          BuilderUnset: Nobody named a model; else as :func:`mending.ordered`.
          SecretsWritten: The bot's file holds a secret.
        """
        order = self.choice.order(model, budget_nano)
        listener = await self.workshop.listener(caller.workspace)
        hint = listener.heard(hint.strip())
        house = mending.House(self.payloads, self.workshop.definitions, self.presenter.reader)
        look = partial(mending.ordered, execution_id, hint, order, house, caller.workspace)
        order = await self.door.read(look)
        repair = await asyncio.to_thread(listener.masked_value, dict(order.repair))
        return await self._begun(replace(order, repair=repair), caller)

    async def _begun(self, order: Order, caller: Caller) -> Session:
        order = await self.door.read(sessions.resolved, order, caller.workspace)
        await self.workshop.known(caller.workspace, order.base_version_id)  # it tells no secret
        now = self.clock.micros()
        session = await self.door.write(partial(sessions.begin, order, caller, now))
        self._news.set()
        return session

    async def answer(
        self,
        session_id: str,
        given: Mapping[str, str],
        caller: Caller,
        *,
        go_on: bool = False,
        version: int | None = None,
    ) -> Session:
        """Take answers; see :func:`sessions.answer`."""
        known = await self.workshop.listener(caller.workspace)
        session = await self.door.read(sessions.get, session_id, caller.workspace)
        asked = {each.id: each for each in session.work.questions}
        masked = {
            name: known.heard_answer(text, asked[name]) if name in asked else ""
            for name, text in given.items()
        }
        write = partial(
            sessions.answer,
            session_id,
            masked,
            caller,
            self.clock.micros(),
            seconds=self.choice.seconds,
            go_on=go_on,
            version=version,
        )
        session = await self.door.write(write)
        self._news.set()
        return session

    async def branch(
        self, session_id: str, stage: Stage, caller: Caller, description: str | None = None
    ) -> Session:
        """Another session from a stage of this one on; see :func:`sessions.branch`."""
        if description is not None:
            description = (await self.workshop.listener(caller.workspace)).heard(description)
        write = partial(
            sessions.branch,
            session_id,
            stage,
            caller,
            self.clock.micros(),
            seconds=self.choice.seconds,
            description=description,
        )
        session = await self.door.write(write)
        self._news.set()
        return session

    async def accept(self, wish: Acceptance, caller: Caller) -> Session:
        """Take a draft at somebody's word; see :func:`accepting.accept`.

        Where it was merged with what people changed, the merge is proved first: the tests of
        the draft ran before it.

        Raises:
          BuildConflict: Besides, where the tests do not prove what was merged.
          TrialsFailed: They could not be run.
        """
        parts = self.presenter.registry, self.presenter.reader
        session = await self.door.read(sessions.get, wish.session_id, caller.workspace)
        if session.status == "ready":
            made = await self.door.read(outcome, session, self.presenter.reader)
            if made.merged and made.digest == wish.digest:
                proof = await self.stages.prover(made.bot.name, made.text, made.python)
                if faults := self.stages.weak(session, proof):
                    told = "; ".join(faults)
                    raise BuildConflict(
                        f"{made.bot.name} was changed since this session began, and the tests do "
                        f"not prove both changes together; begin another one: {_short(told)}"
                    )
        now = self.clock.micros()  # whatever is accepted has the digest that was proved
        return await self.door.write(partial(accepting.accept, wish, *parts, caller, now))

    async def serve(self) -> None:
        """Work on whatever nobody works on, a few at a time, until cancelled."""
        busy: set[asyncio.Task[Session]] = set()
        try:
            while True:
                self._news.clear()
                try:
                    while len(busy) < self.choice.at_once and (found := await self._claimed()):
                        task = asyncio.create_task(self._work(found))
                        busy.add(task)
                        task.add_done_callback(busy.discard)
                        task.add_done_callback(partial(self._over, found))
                except Exception:
                    log.exception("sessions of the builder cannot be worked on; trying again")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._news.wait()
        finally:
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)

    def _over(self, session: Session, done: asyncio.Task[Session]) -> None:
        self._news.set()  # there is room for another
        if not done.cancelled() and (error := done.exception()) is not None:
            about = {"workspace": session.workspace}
            log.error("session %s cannot be worked on", session.id, exc_info=error, extra=about)

    async def run(
        self, session_id: str, workspace: str, told: Callable[[Session], None] | None = None
    ) -> Session:
        """Work on a session, or watch whoever does, until it is the person's turn or over."""
        while True:
            session = await self._claimed(session_id)
            if session is not None:
                if told is not None:
                    told(session)
                session = await self._work(session)
            else:
                session = await self.door.read(sessions.get, session_id, workspace)
                if session.status == "working":
                    await asyncio.sleep(0.2)
            if session.status != "working":
                return session

    async def _claimed(self, session_id: str | None = None) -> Session | None:
        now = self.clock.micros()
        if not await self.door.read(sessions.waiting, now, session_id):
            return None  # whoever has nothing to do writes nothing
        lease = now + int(LEASE_SECONDS * 1e6)
        return await self.door.write(partial(sessions.claim, now, lease, session_id))

    async def _work(self, session: Session) -> Session:
        """Do one stage, and write what came of it; nothing where somebody else changed it."""
        stage = asyncio.create_task(self._done(session))
        try:
            while not (await asyncio.wait({stage}, timeout=LEASE_SECONDS / 3))[0]:
                lease = self.clock.micros() + int(LEASE_SECONDS * 1e6)
                if not await self.door.write(partial(sessions.hold, session, lease)):
                    break  # given up, or taken over
            else:
                fault_point("builder.before_writing")
                return await self._written(await stage)
        except BuildConflict:
            log.info("session %s was changed while it was worked on", session.id)
        except asyncio.CancelledError:
            # This process stops: others need not wait for the lease to end.
            await self.door.write(partial(sessions.hold, session, self.clock.micros()))
            raise
        finally:
            stage.cancel()
            await asyncio.gather(stage, return_exceptions=True)
        return await self.door.read(sessions.get, session.id, session.workspace)

    async def _done(self, session: Session) -> Session:
        """The session after its stage, whatever came of it; in a task of its own."""
        subject.set(subject.get()._replace(workspace=session.workspace))
        if (left := session.deadline_at - self.clock.micros()) <= 0:
            return _late(session, self.choice.seconds)
        try:
            async with asyncio.timeout(left / 1e6) as bound:  # tests of drafts among it
                return _next(await self.stages.run(session))
        except Stuck as stuck:
            return _failed(stuck.session, stuck.message)
        except BudgetExceeded as refusal:
            own = refusal.scope == f"execution:{session.id}"
            return _failed(session, _spent(session) if own else refusal.message)
        except StepFault as fault:
            return _unanswered(session, fault, self.clock.micros())
        except Codex32Error as error:
            return _failed(session, error.message)
        except Exception as error:
            late = bound.expired()
            return _late(session, self.choice.seconds) if late else _broken(session, error)

    async def _written(self, session: Session) -> Session:
        written = await self.door.write(partial(_put, session, self.clock.micros()))
        if session.lease_until is None:
            await asyncio.to_thread(self.payloads.remove, session.id)
        return written


def _put(session: Session, now: int) -> Session:
    if session.lease_until is None:
        sessions.forget_answers(session.id)
    return sessions.put(session, now)


def _next(session: Session) -> Session:
    """The session at its next stage, or at the person's turn."""
    over = replace(session, lease_until=None, message="")
    match session.stage:
        case "interpret" if session.work.unanswered:
            return replace(over, status="asking")
        case "interpret":
            return replace(over, stage="compose")
        case "compose" if not session.work.yaml:  # a draft brought questions up
            return replace(over, status="asking")
        case "compose":
            return replace(over, stage="prove")
    return replace(over, status="ready")


def _unanswered(session: Session, fault: StepFault, now: int) -> Session:
    """The session where its model gave no answer: later once more, where that may help."""
    # What does not fit its form was asked for again already, and was paid for each time.
    unfit = isinstance(fault, ModelFault) and fault.kind == "invalid"
    if unfit or not fault.retryable:
        return _failed(session, fault.message)
    pause = max(fault.retry_after_seconds or 0.0, PAUSE_SECONDS)
    again = min(now + int(pause * 1e6), session.deadline_at)
    return replace(session, lease_until=again, message=_short(fault.message))


def _broken(session: Session, error: Exception) -> Session:
    log.error("a stage of session %s failed", session.id, exc_info=error)
    return _failed(session, f"a fault of the house: {type(error).__name__}")


def _late(session: Session, seconds: float) -> Session:
    way_on = f"codex32 build branch {session.id} --stage {session.stage}"
    late = f"it was not done within {seconds:g} s (builder.seconds)"
    last = f"; the last trouble was: {session.message}" if session.message else ""
    return _failed(session, f"{late}; go on with: {way_on}{last}")


def _spent(session: Session) -> str:
    budget = f"the session's budget of {shown(session.budget_nano)} (builder.budget_usd)"
    return f"another call of a model may cost more than is left of {budget}; nothing was sent"


def _failed(session: Session, message: str) -> Session:
    return replace(session, status="failed", lease_until=None, message=_short(message))


def _short(message: str) -> str:
    return scrub(storable(message))[:4000]  # models say whatever they like
