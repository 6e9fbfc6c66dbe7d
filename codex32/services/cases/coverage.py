"""Which steps of a bot its tests have run, and which conditions they have seen both ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codex32.kernel.bot import Bot
from codex32.services.cases.case import Verdict

_RAN = frozenset({"succeeded", "failed", "waiting", "unknown", "cancelled"})


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the tests of one bot have reached.

    Attributes:
      steps: Ids of all steps.
      unrun: Those that no test ran.
      branches: Twice the steps that have an ``if``.
      unseen: Which way of which step no test went: ``"stop if true"``, ``"stop if false"``.
    """

    bot: str
    steps: Sequence[str]
    unrun: Sequence[str]
    branches: int
    unseen: Sequence[str]


def coverage_of(bot: Bot, verdicts: Iterable[Verdict]) -> Coverage:
    """What ``verdicts`` of tests of ``bot`` have reached."""
    endings = [each.ending for each in verdicts if each.ending is not None]
    steps = (*bot.steps, *bot.on_failure, *bot.finally_)
    reached = [(name, each["status"]) for end in endings for name, each in end.steps.items()]
    ran = {name for name, status in reached if status in _RAN}
    skipped = {name for name, status in reached if status == "skipped"}
    conditional = [step.id for step in steps if step.condition is not None]
    unseen = [f"{name} if true" for name in conditional if name not in ran]
    unseen += [f"{name} if false" for name in conditional if name not in skipped]
    return Coverage(
        bot.name,
        [step.id for step in steps],
        [step.id for step in steps if step.id not in ran],
        2 * len(conditional),
        sorted(unseen),
    )
