"""What a retry takes over of the execution it repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

from codex32.engine.values.order import upstream
from codex32.kernel.bot import Step
from codex32.kernel.json_values import dumps, loads
from codex32.kernel.statuses import StepStatus

#: Where a retry may begin, beside the id of a step.
START: Literal["start"] = "start"
FAILED: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class Lineage:
    """What an execution has in common with those it repeats.

    Attributes:
      origin: The first of the chain. ``dedupe`` knows them all under its id, so that what was new
        to the first is new to its retries.
      keys: The execution under whose id effects carry their keys. Another one only where a person
        had effects sent again: the other side then takes them for new ones.
      answers: The execution under whose id answers of models are kept. A retry of what failed is
        given those that were bought; one from the start or from a step wants new ones.
    """

    origin: str
    keys: str
    answers: str

    @classmethod
    def of(cls, execution_id: str, text: str | None) -> Lineage:
        """The lineage in a row; that of an execution which repeats no other is its own."""
        kept = {} if text is None else loads(text)
        return cls(*(kept.get(each.name, execution_id) for each in fields(cls)))

    def packed(self) -> str:
        """The text for the row."""
        return dumps(asdict(self))


def redone(steps: Sequence[Step], point: str) -> frozenset[str]:
    """The steps that are done again whatever came of them: those from ``point`` on."""
    if point == FAILED:
        return frozenset()
    above = _above(steps)
    return frozenset(s for s in above if point in (START, s) or point in above[s])


def kept(steps: Sequence[Step], statuses: Mapping[str, str], point: str) -> frozenset[str]:
    """The steps whose records a retry takes over.

    These are the steps that succeeded; those whose failure was passed over (``on_error:
    continue``) and that a kept step has seen failed; and those that were skipped, if all that
    they were decided on is kept. All others are done again.

    Args:
      steps: The bot's, in the version that the retry runs.
      statuses: How the steps ended, by id.
      point: ``START``, ``FAILED`` or the id of a step.
    """
    above, again = _above(steps), redone(steps, point)
    ended = {step: status for step, status in statuses.items() if step not in again}
    keep = {s for s in above if ended.get(s) == StepStatus.SUCCEEDED}
    seen = frozenset[str]().union(*(above[s] for s in keep))
    keep |= {
        step.id
        for step in steps
        if step.on_error == "continue"
        and ended.get(step.id) == StepStatus.FAILED
        and step.id in seen
    }
    # A step has more steps above it than any of these has: so it comes after them.
    for step in sorted(above, key=lambda each: len(above[each])):
        if ended.get(step) == StepStatus.SKIPPED and above[step] <= keep:
            keep.add(step)
    return frozenset(keep)


def _above(steps: Sequence[Step]) -> Mapping[str, frozenset[str]]:
    return upstream({step.id: step.needs for step in steps})
