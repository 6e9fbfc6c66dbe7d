"""The records of an ended execution that a retry of it begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codex32.engine.records.record import STEPS
from codex32.kernel.bot import Step
from codex32.kernel.errors import RetryRefused
from codex32.kernel.models import NO_ITEM, StepRow
from codex32.kernel.outcomes import Effect
from codex32.kernel.statuses import StepStatus

FINISHED = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)


def records_of(execution_id: str) -> list[StepRow]:
    """All of them, items too."""
    return list(StepRow.select().where(StepRow.execution_id == execution_id))


def refuse_unknown(execution_id: str, records: Sequence[StepRow]) -> None:
    """What may have been sent is neither kept nor sent again before a person has decided.

    Raises:
      RetryRefused: Nobody knows whether an effect happened.
    """
    doubtful = sorted({each.step for each in records if is_unknown(each)})
    if doubtful:
        raise RetryRefused(
            f"whether the effect of {', '.join(doubtful)} happened is unknown; decide first: "
            f"codex32 executions resolve {execution_id} --sent|--not-sent|--fail"
        )


def is_unknown(record: StepRow) -> bool:
    """Whether nobody can tell if the effect of a step of an ended execution happened."""
    under_way = record.status == StepStatus.RUNNING and record.effect == Effect.ONCE
    return under_way or record.status == StepStatus.UNKNOWN


def statuses(records: Sequence[StepRow]) -> dict[str, str]:
    """How steps ended, by id."""
    return {each.step: each.status for each in records if each.item == NO_ITEM}


def items_kept(records: Sequence[StepRow], partly: frozenset[str]) -> list[StepRow]:
    """The finished items of steps that are partly kept, and these steps as not yet done."""
    found = []
    for each in records:
        if each.step not in partly:
            continue
        if each.item == NO_ITEM:
            each.status, each.output, each.error = StepStatus.PENDING.value, None, None
            each.note, each.finished_at = None, None
            found.append(each)
        elif each.status in FINISHED:
            found.append(each)
    return found


def values(row: StepRow) -> tuple[object, ...]:
    """A record as it is written, without the execution's id."""
    return tuple(getattr(row, name) for name in STEPS.columns[1:])


def texts(rows: Sequence[Sequence[object]]) -> list[str | None]:
    """The texts in them that may stand for files."""
    places = [STEPS.columns.index(name) - 1 for name in ("input", "output", "error", "note")]
    return [row[place] for row in rows for place in places]  # type: ignore[misc]


def notes(
    records: Sequence[StepRow],
    names: Sequence[str],
    partly: frozenset[str],
    original: Mapping[str, Step],
) -> tuple[str, ...]:
    """What a person should know of what is kept, in sentences."""
    gone = sorted({each.step for each in records} & set(original) - set(names))
    told = [f"the record of {step} is left behind: this version has no such step" for step in gone]
    for step in sorted(partly):
        done = sum(
            each.step == step and each.item != NO_ITEM and each.status in FINISHED
            for each in records
        )
        told.append(f"{done} items of {step} are kept")
    return tuple(told)
