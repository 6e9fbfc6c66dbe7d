"""Retrying executions that have ended: a new execution that keeps what was done.

What ended stays as it ended. The retry begins with the records it takes over, written in the
transaction that makes it, so that no worker ever sees it without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from codex32.engine.records.keeping import FAILED, START, Lineage, kept, redone
from codex32.engine.records.record import STEPS
from codex32.kernel.bot import Step
from codex32.kernel.caller import DEFAULT_WORKSPACE, HOUSE, Caller
from codex32.kernel.clock import Clock, SystemClock
from codex32.kernel.database import Door, announce, fetch
from codex32.kernel.errors import (
    BotDisabled,
    Codex32Error,
    EffectsRepeated,
    RetryRefused,
    StepNotFound,
)
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON
from codex32.kernel.models import NO_ITEM, BotRow, ExecutionRow, StepRow, VersionRow
from codex32.kernel.payloads import PayloadMissing, PayloadStore
from codex32.kernel.problems import Problem
from codex32.kernel.statuses import Status
from codex32.kernel.subject import asked_within
from codex32.services.bots.definitions import Definitions
from codex32.services.executions import dead_letters, executions, taken_over
from codex32.services.executions.children import sent_again
from codex32.services.executions.starting import (
    Queued,
    Start,
    Subject,
    prepare,
    scoped_key,
)
from codex32.services.safe import audit

Definition = Literal["original", "current"]
_UNSUCCESSFUL = (Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Retry:
    """The wish that an execution which has ended be done again.

    Attributes:
      execution_id: Which one.
      point: ``start``: nothing is kept. ``failed``: what succeeded is kept. A step's id: what is
        neither that step nor below it is kept. None: ``failed`` where it failed or was cancelled,
        else ``start``.
      definition: The version it ran on, or the one that is live now.
      again: Make another retry where there is one already.
      repeat_effects: Effects that were sent may be sent once more, under new keys.
      by: Who wishes it.
      workspace: Whose execution it is.
      id: Of the execution to be; asking twice with the same id is asking once.
      traceparent: The span within which it is asked for; that of whoever makes the wish.
    """

    execution_id: str
    point: str | None = None
    definition: Definition = "original"
    again: bool = False
    repeat_effects: bool = False
    by: Caller = HOUSE
    workspace: str = DEFAULT_WORKSPACE
    id: str = field(default_factory=lambda: new_id("exe"))
    traceparent: str | None = field(default_factory=asked_within)


@dataclass(frozen=True, slots=True)
class Retried:
    """What came of it, or would.

    Attributes:
      id: The retry; None where it was only looked at.
      of: The execution that is retried.
      repeated: It had been retried before; ``id`` is that retry.
      held: It waits until other executions of its bot have ended.
      kept: Steps that are taken over as they are, in the order of the file.
      repeats: Steps whose effects are sent once more.
      notes: What a person should know, in sentences.
    """

    id: str | None
    of: str
    point: str
    version: int
    repeated: bool = False
    held: bool = False
    kept: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        return {
            "id": self.id,
            "retry_of": self.of,
            "from": self.point,
            "version": self.version,
            "repeated": self.repeated,
            "held": self.held,
            "kept": list(self.kept),
            "repeats": list(self.repeats),
            "notes": list(self.notes),
        }


@dataclass(slots=True)
class _Plan:
    """A retry as it would be."""

    row: ExecutionRow
    subject: Subject
    point: str
    kept: frozenset[str]
    #: Rows to be taken over, in the order of ``STEPS.columns`` but for the execution's id.
    rows: list[tuple[object, ...]]
    repeats: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def renews(self) -> bool:
        """Whether effects carry new keys; what failed and is still owed keeps its own."""
        return bool(self.repeats) and self.point != FAILED

    def told(self, retry_id: str | None, *, held: bool = False) -> Retried:
        order = [step.id for step in self.subject.bot.steps if step.id in self.kept]
        return Retried(
            id=retry_id,
            of=self.row.id,
            point=self.point,
            version=self.subject.number,
            held=held,
            kept=tuple(order),
            repeats=self.repeats,
            notes=self.notes,
        )


class Retrier:
    """Retries executions, for people and programs.

    Args:
      door: The database.
      definitions: Versions as bots.
      payloads: Where long values are; those of kept steps are shared with the retry.
    """

    def __init__(
        self,
        door: Door,
        definitions: Definitions,
        payloads: PayloadStore,
        clock: Clock = SystemClock.shared,
    ) -> None:
        self._door, self._definitions = door, definitions
        self._payloads, self._clock = payloads, clock

    async def retry(self, retry: Retry) -> Retried:
        """Make the retry; the answer comes after the commit.

        Raises:
          ExecutionNotFound: There is no such execution.
          RetryRefused: It has not ended, an effect of it is unknown, or nothing is left to do.
          EffectsRepeated: Effects would be sent again, and ``repeat_effects`` is not set.
          StepNotFound: ``point`` is no step of the version.
          BotDisabled: The bot has no live version, which ``current`` asks for.
          InputsInvalid: The inputs do not fit the present definition.
        """
        return _told(await self._door.write_many(self.retry_many, retry))

    def retry_now(self, retry: Retry) -> Retried:
        """Like :meth:`retry`, for threads without an event loop."""
        return _told(self._door.write_many_now(self.retry_many, retry))

    def retry_many(self, wishes: Sequence[Retry]) -> list[Retried | Codex32Error]:
        """Make all of them, each by itself: a batch for ``Door.write_many``."""
        answers: list[Retried | Codex32Error] = []
        for wish in wishes:
            try:
                answers.append(self._retry(wish))
            except Codex32Error as error:
                answers.append(error)
        return answers

    def look(self, wish: Retry) -> Retried:
        """What a retry would keep and repeat; reads alone, and refuses nothing but the impossible.

        Raises:
          Codex32Error: As :meth:`retry` does, but for effects that would be repeated.
        """
        row = executions.get(wish.execution_id, workspace=wish.workspace)
        return self._earlier(wish, row) or self._plan(wish, row).told(None)

    def _retry(self, wish: Retry) -> Retried:
        row = executions.get(wish.execution_id, workspace=wish.workspace)
        earlier = self._earlier(wish, row)
        if earlier is not None:
            return earlier
        plan = self._plan(wish, row)
        if plan.repeats and not wish.repeat_effects:
            raise EffectsRepeated(
                f"{row.id} would send effects again that were sent; say that this is meant "
                "(--yes, or `repeat_effects` over HTTP), or keep those steps (--from failed)",
                [
                    Problem("its effect was sent", step, code="effect-sent")
                    for step in plan.repeats
                ],
            )
        return self._make(wish, plan)

    def _earlier(self, wish: Retry, row: ExecutionRow) -> Retried | None:
        """The retry that was made of the execution before, unless another is wished for."""
        mine = ExecutionRow.id == wish.id  # after a commit whose answer was lost
        if not wish.again:
            mine |= ExecutionRow.idempotency_key == scoped_key(row.bot_id, _key(row.id))
        there = ExecutionRow.get_or_none(mine)
        if there is None:
            return None
        note = f"it was retried before: {there.id} is {there.status}"
        return Retried(
            id=there.id,
            of=row.id,
            point=wish.point or _usual_point(row),
            version=there.version_number,
            repeated=there.id != wish.id,
            held=not there.admitted,
            notes=(note,) if there.id != wish.id else (),
        )

    def _plan(self, wish: Retry, row: ExecutionRow) -> _Plan:
        if row.finished_at is None:
            raise RetryRefused(
                f"{row.id} is {row.status}; only what has ended is retried: "
                "wait for it, or cancel it"
            )
        subject = self._subject(row, wish.definition)
        point = wish.point or _usual_point(row)
        if point == FAILED and row.status not in _UNSUCCESSFUL:
            raise RetryRefused(
                f"{row.id} is {row.status}: nothing in it failed; retry it from the start, "
                "or from a step"
            )
        steps = subject.bot.steps
        names = [step.id for step in steps]
        if point not in (START, FAILED, *names):
            raise StepNotFound(f"{subject.name} version {subject.number}", point, names)
        records = taken_over.records_of(row.id)
        taken_over.refuse_unknown(row.id, records)
        statuses = {**taken_over.statuses(records), **self._ended_by(records)}
        keep = kept(steps, statuses, point)
        partly = self._partly_kept(row, subject, records, keep, point)
        rows = [each for each in records if each.step in keep] + taken_over.items_kept(
            records, partly
        )
        return _Plan(
            row,
            subject,
            point,
            keep,
            [taken_over.values(each) for each in rows],
            sent_again(row.id, records, rows),
            taken_over.notes(records, names, partly, self._original_steps(row)),
        )

    def _subject(self, row: ExecutionRow, definition: Definition) -> Subject:
        version_id, number = row.version_id, row.version_number
        if definition == "current":
            found = fetch(
                BotRow.select(VersionRow.id, VersionRow.number)
                .join(VersionRow, on=(VersionRow.id == BotRow.active_version_id))
                .where((BotRow.id == row.bot_id) & BotRow.removed_at.is_null())
            )
            if not found:
                raise BotDisabled(row.bot_name, "it has no live version; retry the original one")
            version_id, number = found[0]
        bot = self._definitions.bot(version_id)
        return Subject(row.bot_id, row.bot_name, version_id, number, bot)

    def _ended_by(self, records: Sequence[StepRow]) -> dict[str, str]:
        """The step that ended the execution (``end``): kept, it would do so again at once."""
        return {
            each.step: "ended"
            for each in records
            if each.note is not None
            and "ended" in (self._payloads.unpack(each.execution_id, each.note) or {})
        }

    def _original_steps(self, row: ExecutionRow) -> Mapping[str, Step]:
        return {step.id: step for step in self._definitions.bot(row.version_id).steps}

    def _partly_kept(
        self,
        row: ExecutionRow,
        subject: Subject,
        records: Sequence[StepRow],
        keep: frozenset[str],
        point: str,
    ) -> frozenset[str]:
        """``foreach`` steps that are done again, but for the items that are finished.

        Their list is the recorded one, so it must still be the same ``foreach``.
        """
        again = redone(subject.bot.steps, point)
        lists = {each.step for each in records if each.item == NO_ITEM and each.input is not None}
        before = self._original_steps(row)
        return frozenset(
            step.id
            for step in subject.bot.steps
            if step.foreach is not None
            and step.id in lists
            and step.id not in keep | again
            and step.id in before
            and before[step.id].foreach == step.foreach
        )

    def _make(self, wish: Retry, plan: _Plan) -> Retried:
        row, now = plan.row, self._clock.micros()
        start = Start(
            bot=row.bot_name,
            inputs=self._payloads.unpack(row.id, row.inputs),
            trigger=self._payloads.unpack(row.id, row.trigger),
            depth=row.depth,
            idempotency_key=None if wish.again else _key(row.id),
            priority=row.priority,
            workspace=row.workspace,
            id=wish.id,
            traceparent=wish.traceparent,
        )
        new = prepare(start, plan.subject, self._payloads, now)
        try:  # whatever can fail comes before the first row
            self._payloads.share(row.id, new.id, taken_over.texts(plan.rows))
        except PayloadMissing:
            self._payloads.remove(new.id)
            raise
        (submitted,) = executions.submit([new])
        if submitted.id is None:
            self._payloads.remove(new.id)
            raise RetryRefused(
                f"{row.bot_name} runs as often as its `concurrency` allows, and lets no more "
                "wait; try later"
            )
        if submitted.id != new.id:  # somebody else was quicker
            self._payloads.remove(new.id)
            return self._earlier(wish, row) or plan.told(submitted.id)
        STEPS.write([(new.id, *values) for values in plan.rows])
        before = Lineage.of(row.id, row.lineage)
        lineage = Lineage(
            origin=before.origin,
            keys=new.id if plan.renews else before.keys,
            answers=before.answers if plan.point == FAILED else new.id,
        )
        ExecutionRow.update(retry_of=row.id, lineage=lineage.packed()).where(
            ExecutionRow.id == new.id
        ).execute()
        dead_letters.settle_retried(row, new.id, wish.by.name, now, except_steps=plan.kept)
        told = {"retry": new.id, "from": plan.point, "definition": wish.definition}
        audit.record(
            wish.by, "execution.retried", row.id, now, change=told, workspace=row.workspace
        )
        announce(Queued([new]))
        return plan.told(new.id, held=submitted.held)


def _told(answer: Retried | Codex32Error) -> Retried:
    if isinstance(answer, Codex32Error):
        raise answer
    return answer


def _key(execution_id: str) -> str:
    """Whoever retries the same execution at the same time makes one retry."""
    return f"retry:{execution_id}"


def _usual_point(row: ExecutionRow) -> str:
    return FAILED if row.status in _UNSUCCESSFUL else START
