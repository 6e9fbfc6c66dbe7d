"""What the person is shown of a draft, computed from the draft and not from the model's word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import peewee as pw

from codex32.engine.reading.definition import Reader
from codex32.kernel.bot import Bot
from codex32.kernel.clock import Clock
from codex32.kernel.components import Components
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.spending_rows import ModelAttemptRow
from codex32.kernel.text import file_told
from codex32.services.ai.money import usd
from codex32.services.bots import bots
from codex32.services.bots.registry import Registry
from codex32.services.bots.written import FILE
from codex32.services.building.keeping import meanings_of_python
from codex32.services.building.outcome import Outcome, outcome
from codex32.services.building.session import Session
from codex32.services.explaining.changes import meanings
from codex32.services.explaining.cost import TariffOf, estimate
from codex32.services.explaining.diagram import diagram
from codex32.services.explaining.wants import wants_of


def told(session: Session, queue: Sequence[str] = ()) -> dict[str, JSON]:
    """A session as people look at it, without its draft; reads rows.

    Args:
      session: Which.
      queue: As :func:`.sessions.waiting` tells it: how many come ``ahead`` of it.
    """
    mine = ModelAttemptRow.execution_id == session.id
    cost = ModelAttemptRow.select(pw.fn.SUM(ModelAttemptRow.cost_nano)).where(mine).scalar()
    return {
        **session.as_dict(),
        "ahead": queue.index(session.id) if session.id in queue else None,
        "cost_usd": usd(int(cost or 0)),
        "budget_usd": usd(session.budget_nano),
    }


@dataclass(frozen=True, slots=True)
class Presenter:
    """Shows drafts.

    Attributes:
      tariff_of: The price of a model, for what the bot will cost.
    """

    reader: Reader
    registry: Registry
    components: Components
    tariff_of: TariffOf
    clock: Clock

    def draft(self, session: Session) -> dict[str, JSON]:
        """The draft with all that decides whether to accept it; reads rows.

        Raises:
          BuildConflict: There is none yet, or it does not go together with its bot any more.
          BotNotFound: The bot that was refined is gone.
        """
        made = outcome(session, self.reader)
        bot = made.bot
        proof = session.work.proof
        cost = estimate(bot, self.components, self.tariff_of, self.clock.now())
        return {
            "session": session.id,
            "status": session.status,
            "name": bot.name,
            "file": _file(session),
            "digest": made.digest,
            "yaml": made.text,
            "notes": session.work.notes,
            "code": code_of(bot),
            "python": made.python,
            "proof": None if proof is None else {**_plain(asdict(proof)), "share": proof.share},
            "capabilities": [each.as_dict() for each in wants_of(bot)],
            "widens": self.registry.beyond(bot, session.workspace),
            "cost": cost.as_dict(),
            "diagram": diagram(bot),
            "changes": self._changes(made, session.work.python_before),
            "merged": _merged(made),
            "questions": session.work.settled(),
            "assumptions": session.work.assumptions,
        }

    def _changes(self, made: Outcome, python: str) -> list[JSON]:
        """What would be other than it is now, in sentences; ``python`` is the pytest of now."""
        if made.former is None:
            return []
        before = self.reader.from_document(loads(made.former.document))
        told = [*meanings(before, made.bot), *meanings_of_python(python, made.python)]
        return [each.as_dict() for each in told]


def _file(session: Session) -> str | None:
    """The file that owns the bot that is changed."""
    row = None if session.bot is None else bots.find(session.bot, session.workspace)
    return file_told(row.source) if row is not None and row.origin == FILE else None


def _merged(made: Outcome) -> dict[str, JSON] | None:
    """What was changed by somebody since the session began, and what of it both changed."""
    if not made.merged or made.former is None:
        return None
    conflicts = [each.as_dict() for each in made.conflicts]
    return {"version": made.former.number, "conflicts": conflicts}


def code_of(bot: Bot) -> list[dict[str, JSON]]:
    """The code of its steps."""
    return [
        {"step": each.id, "code": each.params["code"]}
        for each in (*bot.steps, *bot.on_failure, *bot.finally_)
        if isinstance(each.params.get("code"), str)
    ]


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value
