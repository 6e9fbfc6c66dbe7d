"""Bots as people and programs look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codex32.kernel.batches import one_of
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import BotRow, ExecutionRow, TriggerRow, VersionRow
from codex32.kernel.problems import Problem
from codex32.kernel.text import file_told
from codex32.services.bots import bots, webhook_paths
from codex32.services.bots.schedules import restored
from codex32.services.presentation import iso


@dataclass(frozen=True, slots=True)
class BotView:
    """A bot with what stands around it.

    Attributes:
      live: The live version; None where there has never been one.
      pending: Number of the version that waits for approval.
      last: The newest execution.
      clashes: Addresses that its triggers want and other bots serve.
    """

    row: BotRow
    live: VersionRow | None
    pending: int | None
    triggers: Sequence[TriggerRow]
    last: ExecutionRow | None
    clashes: Sequence[Problem] = ()

    @property
    def number(self) -> int | None:
        """Number of the live version."""
        return self.live.number if self.live else None

    @property
    def standing(self) -> str:
        """One word: ``active broken disabled paused removed waiting``."""
        if self.row.removed_at is not None:
            return "removed"
        if self.row.problems is not None:
            return "broken"
        if self.live is None and self.pending is not None:
            return "waiting"
        if not self.row.enabled:
            return "disabled"
        return "paused" if self.row.paused else "active"

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with its file, and what its triggers want in vain."""
        told = loads(self.row.problems) if self.row.problems else ()
        return [*(Problem(**each) for each in told), *self.clashes]

    @property
    def next_at(self) -> int | None:
        """When a trigger is due next, in microseconds."""
        return min((t.next_at for t in self.triggers if t.next_at is not None), default=None)


def view(name: str, *, workspace: str = "default") -> BotView:
    """One bot, removed or not.

    Raises:
      BotNotFound: There is none of this name.
    """
    return views([bots.get(name, workspace=workspace)])[0]


def document(view: BotView) -> dict[str, JSON]:
    """The live definition; empty where there has never been one."""
    if view.live is None:
        return {}
    text = VersionRow.select(VersionRow.document).where(VersionRow.id == view.live.id).scalar()
    return dict(loads(text))


def listing(*, removed: bool = False, workspace: str = "default") -> list[BotView]:
    """The bots by name; with ``removed`` also those whose file is gone."""
    rows = BotRow.select().where(BotRow.workspace == workspace).order_by(BotRow.name)
    if not removed:
        rows = rows.where(BotRow.removed_at.is_null())
    return views(list(rows))


def as_dict(view: BotView) -> dict[str, JSON]:
    """A bot as plain data for JSON."""
    row, last = view.row, view.last
    return {
        "name": row.name,
        "tag": bots.tag(row),
        "description": row.description,
        "labels": loads(row.labels),
        "status": view.standing,
        "enabled": row.enabled,
        "paused": row.paused,
        "alerts_only": row.alerts_only,
        "origin": row.origin,
        "source": file_told(row.source),
        "owner": row.owner,
        "version": view.number,
        "digest": view.live.digest if view.live else None,
        "waiting_version": view.pending,
        "pinned": row.pinned_digest is not None,
        "problems": [problem.as_dict() for problem in view.problems],
        "next_at": iso(view.next_at),
        "triggers": [trigger_as_dict(each) for each in view.triggers],
        "last_execution": last
        and {"id": last.id, "status": last.status, "finished_at": iso(last.finished_at)},
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def version_as_dict(row: VersionRow, bot: BotRow) -> dict[str, JSON]:
    """A version as plain data for JSON, without its definition."""
    widens = loads(row.widens) if row.widens else []
    return {
        "id": row.id,
        "number": row.number,
        "standing": _standing(row, bot),
        "digest": row.digest,
        "origin": row.origin,
        "source": file_told(row.source),
        "author": row.author,
        "message": row.message,
        "widens": widens,
        "approved_by": row.approved_by,
        "approved_at": iso(row.approved_at),
        "created_at": iso(row.created_at),
    }


def _standing(row: VersionRow, bot: BotRow) -> str:
    """One word: ``live waiting past``; a version that was not approved is past, too."""
    if row.id == bot.active_version_id:
        return "live"
    return "waiting" if row.id == bot.pending_version_id else "past"


def trigger_as_dict(row: TriggerRow) -> dict[str, JSON]:
    """A trigger as plain data for JSON."""
    trigger = restored(row.definition)
    return {
        "id": row.id,
        "kind": row.kind,
        "config": trigger.config,
        "timezone": trigger.timezone,
        "on_missed": trigger.on_missed,
        "overlap": trigger.overlap,
        "enabled": row.enabled,
        "next_at": iso(row.next_at),
    }


def views(rows: Sequence[BotRow]) -> list[BotView]:
    """Views with one query for each kind of row, however many bots there are."""
    ids = [row.id for row in rows]
    wanted = (i for row in rows for i in (row.active_version_id, row.pending_version_id) if i)
    versions = {
        version.id: version
        for version in VersionRow.select(VersionRow.id, VersionRow.number, VersionRow.digest)
        .where(one_of(VersionRow.id, list(wanted)))
        .execute()
    }
    triggers: dict[str, list[TriggerRow]] = {}
    mine = TriggerRow.select().where(one_of(TriggerRow.bot_id, ids))
    for trigger in mine.order_by(TriggerRow.id):
        triggers.setdefault(trigger.bot_id, []).append(trigger)
    last, clashes = _last_executions(ids), webhook_paths.clashes(ids)
    found = []
    for row in rows:
        live = versions.get(row.active_version_id or "")
        pending = versions.get(row.pending_version_id or "")
        found.append(
            BotView(
                row,
                live,
                pending.number if pending else None,
                triggers.get(row.id, []),
                last.get(row.id),
                clashes.get(row.id, ()),
            )
        )
    return found


def _last_executions(ids: Sequence[str]) -> dict[str, ExecutionRow]:
    newest = ExecutionRow.alias()
    # Asked bot by bot inside the database, so that the index answers and history is not read.
    last_id = (
        newest.select(newest.id)
        .where(newest.bot_id == BotRow.id)
        .order_by(newest.id.desc())
        .limit(1)
    )
    rows = ExecutionRow.select(
        ExecutionRow.id, ExecutionRow.bot_id, ExecutionRow.status, ExecutionRow.finished_at
    ).where(ExecutionRow.id.in_(BotRow.select(last_id).where(one_of(BotRow.id, ids))))
    return {row.bot_id: row for row in rows}
