"""Notices of alerts: each an execution of a bot that is made for it and does nothing else.

So the effect ledger holds them: one that may have been sent is not sent again in silence, one
that failed is a dead letter. That bot has no alerts, so what tells of alerts is never told of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from codex32.engine.reading.building import build_bot
from codex32.engine.records.cancelling import cancel_many
from codex32.kernel.bot import ALERT_NOTICES
from codex32.kernel.database import fetch
from codex32.kernel.json_values import JSON, canonical, loads
from codex32.kernel.models import BotRow, ExecutionRow
from codex32.kernel.statuses import Status
from codex32.services.alerts.standing import ESCALATED, FIRING, OK
from codex32.services.bots import bots
from codex32.services.bots.alert_rules import Rule
from codex32.services.bots.written import RUN, Written
from codex32.services.executions.starting import Start
from codex32.services.presentation import iso

_DOES = {FIRING: "fires", ESCALATED: "still fires, and nobody looks after it", OK: "is over"}
#: Notices of one execution; more are counted.
_MOST_LINES = 20


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told of one alert."""

    bot: str
    alert: str
    what: str
    detail: str
    since: int

    def as_dict(self) -> dict[str, JSON]:
        """For machines."""
        return {
            "bot": self.bot,
            "alert": self.alert,
            "state": self.what,
            "detail": self.detail,
            "since": iso(self.since),
        }

    def __str__(self) -> str:
        return f"{self.bot}: {self.alert} {_DOES[self.what]}"


def targets(rule: Rule, what: str, was: str) -> list[Mapping[str, JSON]]:
    """Who is told: whoever was told that it fires is told that it is over."""
    alert = rule.alert
    more = alert.escalate.notify if alert.escalate is not None else ()
    if what == ESCALATED:
        return list(more)
    also = more if was == ESCALATED else ()
    return [*alert.notify, *(each for each in also if each not in alert.notify)]


def supersede(carried: Iterable[Sequence[str]], now: int) -> None:
    """Cancel notices that nobody got yet, and that are true no more; called in a write.

    Else one that could not be sent at once would arrive behind the one that says the contrary.

    Args:
      carried: The executions of the last notices, of each alert that now stands otherwise.
      now: The present, in microseconds.
    """
    untrue = Counter(chain.from_iterable(carried))
    waiting = ExecutionRow.select(ExecutionRow.id, ExecutionRow.trigger).where(
        ExecutionRow.id.in_(list(untrue))
        & ExecutionRow.status.in_([Status.QUEUED, Status.WAITING])
        # What may have been sent waits for a person, and for no time.
        & ExecutionRow.ready_at.is_null(False)
    )
    pending = [
        execution_id
        for execution_id, trigger in fetch(waiting)
        # It may tell of others, too, which stand as it says.
        if trigger.startswith("{") and untrue[execution_id] >= len(loads(trigger)["alerts"])
    ]
    if pending:
        cancel_many(pending, now, "what it tells is true no more")


def carry(
    target: Mapping[str, JSON],
    allow: JSON,
    notices: Sequence[Notice],
    now: int,
    *,
    owner: str,
    workspace: str,
) -> Start:
    """The execution that takes notices of ``owner`` to one target; called in a write."""
    document = _document(target, allow)
    written = Written.of(build_bot(document), canonical(document), RUN)
    stored = bots.keep(written, now, workspace=workspace)
    # It stands in no list of bots, and a workspace is not in use because it once told somebody.
    ours = (BotRow.id == stored.bot_id) & (BotRow.origin == RUN) & BotRow.removed_at.is_null()
    BotRow.update(enabled=False, removed_at=now).where(ours).execute()
    if len(notices) == 1:
        title, lines = str(notices[0]), [notices[0].detail]
    else:
        title = f"{len(notices)} alerts of {owner}"
        lines = [f"{each}: {each.detail}" for each in notices[:_MOST_LINES]]
    if len(notices) > _MOST_LINES:
        lines.append(f"and {len(notices) - _MOST_LINES} more")
    about = {"bot": owner, "alerts": [each.alert for each in notices]}
    return Start(
        bot=ALERT_NOTICES,
        version_id=stored.version_id,
        inputs={
            "title": title,
            "text": "\n".join(lines),
            "data": {"alerts": [each.as_dict() for each in notices]},
        },
        trigger={"kind": "alert", **about},
        workspace=workspace,
    )


def _document(target: Mapping[str, JSON], allow: JSON) -> dict[str, JSON]:
    handed = {name: f"${{{{ inputs.{name} }}}}" for name in ("title", "text", "data")}
    return {
        "name": ALERT_NOTICES,
        "description": "Carries the notices of alerts; made by the house.",
        "inputs": {
            "title": {"type": "string"},
            "text": {"type": "string"},
            "data": {"type": "object"},
        },
        "allow": allow,
        # As long as it is true, for a day: what is true no more is cancelled, see supersede.
        "retry": {"attempts": 100, "first": "10s", "factor": 3, "max": "15m"},
        "timeout": "3h",
        "steps": [
            {"id": "main", "type": "notify", "timeout": "1m", "with": {**target, **handed}},
        ],
    }
