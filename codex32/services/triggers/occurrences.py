"""What came of the times of triggers: one row each, and an execution where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import peewee as pw

from codex32.engine.records import gates
from codex32.kernel.batches import Insert, Update, one_of
from codex32.kernel.clock import from_micros
from codex32.kernel.database import announce, fetch, is_sqlite
from codex32.kernel.events import TriggerFired
from codex32.kernel.ids import new_id
from codex32.kernel.models import (
    BotRow,
    ExecutionRow,
    OccurrenceRow,
    TriggerRow,
    VersionRow,
    database_proxy,
)
from codex32.kernel.payloads import PayloadStore
from codex32.services.executions import executions
from codex32.services.executions.executions import NewExecution
from codex32.services.executions.starting import Queued
from codex32.services.presentation import iso

_DETAIL_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Due:
    """A trigger whose time has come, with its bot."""

    id: str
    bot_id: str
    definition: str
    next_at: int
    bot_name: str
    workspace: str
    paused: bool
    version_id: str | None
    number: int | None

    @property
    def about(self) -> dict[str, str]:
        """What a line of the log says that it is about."""
        return {"workspace": self.workspace, "bot": self.bot_name}


@dataclass(slots=True)
class Answer:
    """What becomes of one time of a trigger."""

    due: Due
    at: int
    decision: str = "fired"
    detail: str = ""
    execution: NewExecution | None = None
    execution_id: str | None = None
    #: The occurrence's; that of a time comes from the grid: the same for every scheduler.
    key: str = ""
    #: The bots whose doings led to what is answered.
    chain: tuple[str, ...] = ()
    #: Whether it may be answered anew while nothing was made of it: until then its key is free.
    again: bool = False

    def __post_init__(self) -> None:
        self.key = self.key or _key(self.at)


@lru_cache(maxsize=1024)
def _key(at: int) -> str:
    return iso(at) or ""


#: Moves the time of a trigger on, if nobody did so before.
MOVES = Update(TriggerRow, keys=("id", "next_at"), columns=("next_at",))
_OCCURRENCES = Insert(
    OccurrenceRow,
    (
        "id",
        "trigger_id",
        "bot_id",
        "key",
        "scheduled_at",
        "evaluated_at",
        "decision",
        "detail",
        "execution_id",
    ),
)


#: Asked every second, so it is one text.
_NEXT_DUE = """
SELECT next_at FROM trigger WHERE enabled AND next_at IS NOT NULL ORDER BY next_at LIMIT 1
"""


def next_due() -> int | None:
    """The earliest time that a trigger waits for, past or to come; asks the index alone."""
    found = database_proxy.execute_sql(_NEXT_DUE).fetchone()
    return int(found[0]) if found else None


def _due(now: int) -> pw.ModelSelect[TriggerRow]:
    return TriggerRow.select(TriggerRow.id).where(
        TriggerRow.enabled & TriggerRow.next_at.is_null(False) & (TriggerRow.next_at <= now)
    )


def batch() -> int:
    """Triggers that are answered in one transaction: on SQLite nobody else writes meanwhile."""
    return 500 if is_sqlite() else 1000


def claimable(now: int, only: Sequence[str]) -> list[Due]:
    """Due triggers that no other scheduler is answering just now, longest due first."""
    query = (
        _due(now)
        .select(
            TriggerRow.id,
            TriggerRow.bot_id,
            TriggerRow.definition,
            TriggerRow.next_at,
            BotRow.name,
            BotRow.workspace,
            BotRow.paused,
            VersionRow.id,
            VersionRow.number,
        )
        .join(BotRow, on=(BotRow.id == TriggerRow.bot_id))
        .join(VersionRow, pw.JOIN.LEFT_OUTER, on=(VersionRow.id == BotRow.active_version_id))
        .order_by(TriggerRow.next_at)
        .limit(batch())
    )
    if only:
        query = query.where(TriggerRow.id.in_(list(only)))
    if not is_sqlite():
        query = query.for_update(of=TriggerRow, skip_locked=True)
    return [Due(*row) for row in fetch(query)]


def live_triggers(trigger_ids: Iterable[str]) -> set[str]:
    """Which of the triggers have an execution that has not ended."""
    going = one_of(ExecutionRow.trigger_id, trigger_ids) & ExecutionRow.finished_at.is_null()
    return {row[0] for row in fetch(ExecutionRow.select(ExecutionRow.trigger_id).where(going))}


def first_answers(answers: Sequence[Answer]) -> list[Answer]:
    """Without those that were given before: a clock that was put back brings times again."""
    if not answers:
        return []
    known = OccurrenceRow.select(OccurrenceRow.trigger_id, OccurrenceRow.key).where(
        one_of(OccurrenceRow.trigger_id, {answer.due.id for answer in answers})
        & one_of(OccurrenceRow.key, {answer.key for answer in answers})
    )
    given = set(fetch(known))
    return [answer for answer in answers if (answer.due.id, answer.key) not in given]


def carry_out(answers: Sequence[Answer], payloads: PayloadStore, now: int) -> None:
    """Make the executions, and write what came of each time."""
    asked = [answer for answer in answers if answer.execution is not None]
    wanted = [answer.execution for answer in asked if answer.execution is not None]
    # What is behind gates waits for others who answer at the same time, in one order.
    gates.lock_all(new.gate for new in wanted if new.gate is not None)
    submitted = executions.submit(wanted)
    queued: list[NewExecution] = []
    for answer, result in zip(asked, submitted, strict=True):
        new = answer.execution
        assert new is not None
        answer.execution_id = result.id
        if result.id == new.id:
            queued.append(new)
            continue
        payloads.remove(new.id)
        if result.repeated:
            answer.decision, answer.detail = "deduplicated", "its `dedupe` was seen before"
        else:
            answer.decision, answer.detail = "concurrency", "as many as `concurrency` allows"
    _OCCURRENCES.write([_occurrence(answer, now) for answer in answers])
    if queued:
        announce(Queued(queued))
    for answer in answers:
        announce(
            TriggerFired(
                at=from_micros(now),
                workspace=answer.due.workspace,
                bot=answer.due.bot_name,
                trigger=answer.due.id,
                decision=answer.decision,
                execution_id=answer.execution_id,
                chain=answer.chain,
                late_seconds=_lateness(answer, now),
            )
        )


def _lateness(answer: Answer, now: int) -> float | None:
    """How late a time was answered that fired; None for what is no time, or did not fire."""
    timely = answer.decision == "fired" and answer.key == _key(answer.at)
    return (now - answer.at) / 1e6 if timely else None


def _occurrence(answer: Answer, now: int) -> tuple[object, ...]:
    occurrence_id = new_id("occ")
    free = answer.again and answer.execution_id is None
    return (
        occurrence_id,
        answer.due.id,
        answer.due.bot_id,
        occurrence_id if free else answer.key,
        answer.at,
        now,
        answer.decision,
        _storable(answer.detail),
        answer.execution_id,
    )


def _storable(text: str) -> str:
    """Text that both databases take, whatever an expression or a plugin put into it."""
    clean = text.encode(errors="replace").decode().replace("\x00", "\ufffd")
    return clean[:_DETAIL_CHARACTERS]
