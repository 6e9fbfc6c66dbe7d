"""Why a bot was started, and why it was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.engine.records import approvals
from codex32.engine.records.rates import RATE_WAIT
from codex32.kernel.database import fetch
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ApprovalRow, BotRow, ExecutionRow, OccurrenceRow, TriggerRow
from codex32.kernel.statuses import Status
from codex32.kernel.watching_rows import SourceRow
from codex32.services.bots import bot_views
from codex32.services.bots.bot_views import BotView
from codex32.services.bots.schedules import TriggerTypes, restored
from codex32.services.presentation import iso

#: Someone who asks about 08:00 means the whole minute.
_MINUTE = 60 * 1_000_000
_LIVE = [status.value for status in Status if not status.final]


@dataclass(frozen=True, slots=True)
class Answered:
    """A time of a trigger, what was decided, and how its execution stands."""

    occurrence: OccurrenceRow
    status: str | None

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON output."""
        row = self.occurrence
        return {
            "scheduled_at": iso(row.scheduled_at),
            "evaluated_at": iso(row.evaluated_at),
            "trigger": row.trigger_id,
            "decision": row.decision,
            "detail": row.detail,
            "execution": row.execution_id,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class Why:
    """What is known of the starts of a bot.

    Attributes:
      answers: Newest first.
      reasons: Sentences that say how things stand now.
    """

    view: BotView
    answers: Sequence[Answered]
    reasons: Sequence[str]

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON output."""
        return {
            "bot": self.view.row.name,
            "status": self.view.standing,
            "next_at": iso(self.view.next_at),
            "reasons": list(self.reasons),
            "occurrences": [answer.as_dict() for answer in self.answers],
        }


def why(
    name: str,
    *,
    limit: int = 20,
    at: int | None = None,
    types: TriggerTypes | None = None,
    workspace: str = "default",
) -> Why:
    """The last answers of a bot's triggers, and what stands in its way now.

    Args:
      name: The bot.
      limit: Most answers.
      at: Only times until the end of this minute, in microseconds.
      types: The installed trigger types, which know what triggers wait for.
      workspace: Whose bot it is.

    Raises:
      BotNotFound: There is no such bot.
    """
    view = bot_views.view(name, workspace=workspace)
    rows = (
        OccurrenceRow.select(OccurrenceRow, ExecutionRow.status.alias("status"))
        .join(ExecutionRow, pw.JOIN.LEFT_OUTER, on=(ExecutionRow.id == OccurrenceRow.execution_id))
        .where(OccurrenceRow.bot_id == view.row.id)
        .order_by(OccurrenceRow.evaluated_at.desc(), OccurrenceRow.scheduled_at.desc())
        .limit(limit)
    )
    if at is not None:
        rows = rows.where(OccurrenceRow.scheduled_at < at + _MINUTE)
    answers = [Answered(row, getattr(row, "status", None)) for row in rows.objects()]
    return Why(view, answers, _reasons(view, types or {}))


def _reasons(view: BotView, types: TriggerTypes) -> list[str]:
    row = view.row
    reasons = []
    if row.removed_at is not None:
        reasons.append(f"it was removed at {iso(row.removed_at)}; {row.source or 'it'} is gone")
    if row.problems is not None:
        still = f"version {view.number} stays live" if view.number else "it never had a version"
        reasons.append(f"its file {row.source} has faults; {still}")
    if view.pending is not None:
        reasons.append(f"version {view.pending} waits for approval; see codex32 bots history")
    if row.pinned_digest is not None:
        reasons.append(f"it was rolled back to version {view.number} until its file changes")
    if not row.enabled and row.removed_at is None:
        reasons.append("its definition says `enabled: false`")
    if row.paused:
        reasons.append("it is paused: triggers do not start it")
    if not view.triggers:
        reasons.append("it has no triggers: only people, programs and other bots start it")
    reasons += [clash.message for clash in view.clashes]
    reasons += [reason for each in view.triggers if (reason := _about_trigger(view, each, types))]
    return reasons + _about_executions(row)


def _about_trigger(view: BotView, row: TriggerRow, types: TriggerTypes) -> str:
    trigger = restored(row.definition)
    which = f"the trigger {trigger.kind} {trigger.config}"
    if not trigger.enabled:
        return f"{which} says `enabled: false`"
    if not row.enabled:
        return ""  # the bot is, and that was said
    if row.next_at is not None:
        return f"{which} is due at {iso(row.next_at)}"
    kind = types.get(trigger.kind)
    if kind is not None and (pattern := kind.event_pattern(trigger.config)):
        return f"the trigger {trigger.kind} waits for an event {pattern}"
    if kind is not None and (webhook := kind.webhook(trigger.config)):
        what = " or ".join(sorted(webhook.methods))
        where = f"/hooks/{view.row.workspace}/{webhook.path}"
        return f"the trigger {trigger.kind} waits for {what} to {where}"
    if kind is not None and (files := kind.watched_files(trigger.config)):
        changes = " or ".join(sorted(files.changes))
        where = f"a file {files.glob} in {files.path}"
        return f"the trigger {trigger.kind} waits for {where} to be {changes}"
    if kind is not None and kind.source(trigger.config) is not None:
        read = fetch(SourceRow.select(SourceRow.moved_at).where(SourceRow.trigger_id == row.id))
        if read:
            return (
                f"{which} waits for what its source tells, and read on last at {iso(read[0][0])}"
            )
        return f"{which} has not reached its source yet; the log of the scheduler says why"
    return f"{which} has no time to come"


def _about_executions(row: BotRow) -> list[str]:
    # Asked of the few that live, by the index of the workspace's statuses, and not of all that
    # the bot ever had: `||` hides that index.
    live = fetch(
        ExecutionRow.select(ExecutionRow.admitted, ExecutionRow.status, ExecutionRow.message)
        .where(
            ExecutionRow.workspace == row.workspace,
            ExecutionRow.status.in_(_LIVE),
            ExecutionRow.bot_id.concat("") == row.id,
        )
        .order_by(ExecutionRow.ready_at)
    )
    admitted = [bool(row[0]) for row in live]
    going, held = admitted.count(True), admitted.count(False)
    paced = [
        message
        for _, status, message in live
        if status == Status.WAITING and message.startswith(RATE_WAIT)
    ]
    told = []
    if going:
        told.append(f"executions that have not ended: {going}")
    asking = (
        ApprovalRow.select()
        .join(ExecutionRow, on=(ExecutionRow.id == ApprovalRow.execution_id))
        .where((ApprovalRow.status == approvals.PENDING) & (ExecutionRow.bot_id == row.id))
        .count()
    )
    if asking:
        told.append(f"approvals that wait for a person: {asking}; see codex32 approvals list")
    if held:
        told.append(f"executions held back by concurrency or overlap: {held}")
    if paced:
        told.append(f"executions that wait for their rate limit: {len(paced)}; one {paced[0]}")
    return told
