"""One test of a bot file, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from codex32.engine.expressions import bare, evaluate
from codex32.kernel.bot import Bot
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON

#: When tests start that say nothing themselves, so that they are the same on every day.
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Case:
    """A test, as docs/howto/test-a-bot.md describes it.

    Attributes:
      mocks: By step id, ``http`` or bot type; see ``codex32.engine.reading.case_schema``.
      expect: How it must end.
    """

    bot: Bot
    name: str
    at: datetime = NOON
    inputs: Mapping[str, JSON] = field(default_factory=dict)
    trigger: Mapping[str, JSON] = field(default_factory=dict)
    state: Mapping[str, JSON] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    mocks: Mapping[str, JSON] = field(default_factory=dict)
    expect: Mapping[str, JSON] = field(default_factory=dict)


def cases_of(bot: Bot) -> list[Case]:
    """The tests of a bot, in the order of the file."""
    cases = []
    for number, raw in enumerate(bot.tests, 1):
        given = dict(raw)
        name, at = given.pop("name", f"test {number}"), given.pop("at", None)
        cases.append(Case(bot, name, NOON if at is None else datetime.fromisoformat(at), **given))
    return cases


def holds(condition: JSON, variables: Mapping[str, JSON]) -> bool:
    """Whether a condition of a test holds: true, false, or CEL over ``variables`` alone.

    Raises:
      ExpressionFault: It cannot be evaluated with these, or yields no bool.
    """
    if not isinstance(condition, str):
        return condition is True
    value = evaluate(bare(condition), variables)
    if not isinstance(value, bool):
        raise ExpressionFault(f"a condition must be true or false, and this is {value!r}")
    return value


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended that had nothing outside.

    Attributes:
      steps: By id ``{"status", "output", "error", "tries"}``; what never began is ``pending``.
      effects: What was done to the outside, or would have been: ``{"step", "item", "type",
        "with"}``, in the order in which it was done.
      unmocked: What would have reached the outside without anything to stand in for it.
      cost_usd: What its models would have cost, as the mocks say.
      seconds: How long it took, without its pauses.
    """

    status: str
    cause: str | None
    message: str
    output: JSON
    steps: Mapping[str, Mapping[str, JSON]]
    state: Mapping[str, JSON]
    effects: Sequence[Mapping[str, JSON]]
    unmocked: Sequence[str]
    seconds: float
    cost_usd: float = 0.0

    def scope(self) -> dict[str, JSON]:
        """What expressions of ``expect.that`` may speak of."""
        return {
            "status": self.status,
            "cause": self.cause,
            "message": self.message,
            "output": self.output,
            "steps": {name: dict(step) for name, step in self.steps.items()},
            "state": dict(self.state),
            "effects": [dict(each) for each in self.effects],
            "cost_usd": self.cost_usd,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a test: it passed where there are no faults.

    Attributes:
      ending: None where the execution could not even be started.
      faults: Sentences for people, each with its place in ``expect``.
    """

    case: Case
    ending: Ending | None
    faults: Sequence[str]

    @property
    def passed(self) -> bool:
        """Whether everything came as it must."""
        return not self.faults
