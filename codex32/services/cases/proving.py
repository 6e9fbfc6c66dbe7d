"""What the tests of a bot are worth: whether they notice that it does nothing, or does wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.document import Document
from codex32.kernel.bot import Bot
from codex32.kernel.json_values import JSON
from codex32.services.cases.mutants import MOST, Mutant, emptied, mutants_of

#: Tries all tests of a bot, on whatever bot it is given: by name, whether each passed.
Tried = Callable[[Bot], Awaitable[Mapping[str, bool]]]


@dataclass(frozen=True, slots=True)
class Fate:
    """A mutant, and the names of the tests that failed on it: none where it survived."""

    mutant: Mutant
    killers: Sequence[str]

    def told(self, document: Document | None = None) -> str:
        """One line: ``12: steps.2.if: always holds``."""
        line = 0 if document is None else self.mutant.where(document)
        path = ".".join(map(str, self.mutant.path)) or self.mutant.bot.name
        return f"{f'{line}: ' if line else ''}{path}: {self.mutant.what}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of the mutants of one bot.

    Attributes:
      idle: Tests that pass on the emptied bot; where all of them do, they prove nothing.
      tests: All of them.
    """

    bot: str
    tests: Sequence[str]
    idle: Sequence[str]
    fates: Sequence[Fate]

    @property
    def notices_nothing(self) -> bool:
        """Whether a bot that does nothing passes all of them."""
        return len(self.idle) == len(self.tests)

    @property
    def survivors(self) -> list[Fate]:
        """Those that no test noticed."""
        return [fate for fate in self.fates if not fate.killers]

    @property
    def share(self) -> float | None:
        """How many of the mutants were killed, from 0 to 1; None where there are none."""
        if not self.fates:
            return None
        return 1 - len(self.survivors) / len(self.fates)

    def as_dict(self, document: Document | None = None) -> dict[str, JSON]:
        """Plain data for JSON; with the file's ``document``, lines are told."""
        return {
            "tests": list(self.tests),
            "idle": list(self.idle),
            "notices_nothing": self.notices_nothing,
            "share": None if self.share is None else round(self.share, 4),
            "killed": len(self.fates) - len(self.survivors),
            "mutants": [
                {
                    "kind": fate.mutant.kind,
                    "path": ".".join(map(str, fate.mutant.path)),
                    "line": None if document is None else fate.mutant.where(document) or None,
                    "what": fate.mutant.what,
                    "killers": list(fate.killers),
                }
                for fate in self.fates
            ],
        }


async def prove(
    bot: Bot,
    tried: Tried,
    reader: Reader,
    *,
    seed: int = 0,
    most: int = MOST,
    advance: Callable[[int], None] = lambda more: None,
) -> Proof:
    """Hold the tests of ``bot``, which pass, against bots that are wrong.

    Args:
      bot: What the tests are of.
      tried: Tries them.
      reader: Checks that a mutant could be stored.
      seed: Which mutants are chosen.
      most: How many.
      advance: Called with how many more bots are done, of the mutants and the emptied one.
    """
    hollow = await tried(emptied(bot, reader))
    advance(1)
    fates = []
    for mutant in mutants_of(bot, reader, seed=seed, most=most):
        came = await tried(mutant.bot)
        fates.append(Fate(mutant, [name for name, passed in came.items() if not passed]))
        advance(1)
    idle = [name for name, passed in hollow.items() if passed]
    return Proof(bot.name, list(hollow), idle, fates)
