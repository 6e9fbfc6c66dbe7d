"""How good a model is at building: the corpus, and what became of each description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from codex32.kernel.bot import Bot
from codex32.kernel.json_values import JSON
from codex32.services.building.session import Session


@dataclass(frozen=True, slots=True)
class Described:
    """A description of the corpus.

    Attributes:
      expect: ``trigger`` (a kind, or None), ``types`` that must be used, and all the ``hosts``.
    """

    name: str
    description: str
    expect: Mapping[str, Any]


@cache
def corpus() -> Sequence[Described]:
    """What people really automate, in their words."""
    text = files(__package__).joinpath("corpus.yaml").read_text(encoding="utf-8")
    return tuple(Described(**each) for each in yaml.safe_load(text))


def wrong(about: Described, bot: Bot) -> list[str]:
    """Where a draft is other than its description has it."""
    expect, faults = about.expect, []
    kinds = {each.kind for each in bot.triggers}
    if expect["trigger"] is not None and expect["trigger"] not in kinds:
        faults.append(f"no trigger {expect['trigger']}")
    missing = set(expect["types"]) - {each.type for each in bot.steps}
    faults += [f"no step {each}" for each in sorted(missing)]
    if set(bot.allow.hosts) != set(expect["hosts"]):
        faults.append(f"hosts {', '.join(bot.allow.hosts) or 'none'}")
    return faults


def measured(
    about: Described, session: Session, told: Mapping[str, JSON], bot: Bot | None, seconds: float
) -> dict[str, JSON]:
    """What became of one description, as plain data.

    Args:
      about: The description.
      session: As far as it came with no answers.
      told: The same as people look at it.
      bot: Its draft; None where there is none.
      seconds: How long it took.
    """
    proof = session.work.proof
    return {
        "name": about.name,
        "status": session.status,
        "message": session.message,
        "wrong": [] if bot is None else wrong(about, bot),
        "questions": len(session.work.questions),
        "killed": None if proof is None else round(proof.share, 3),
        "cost_usd": told["cost_usd"],
        "seconds": round(seconds, 1),
    }
