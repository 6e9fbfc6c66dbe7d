"""Bots as people and programs look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import BotRow, ExecutionRow, TriggerRow, VersionRow
from codex32.services import bots
from codex32.services.presentation import iso
from codex32.services.schedules import restored


@dataclass(frozen=True, slots=True)
class BotView:
    """A bot with what stands around it.

    Attributes:
      document: The live version's definition; empty where there has never been one.
      last: The newest execution.
    """

    row: BotRow
    number: int | None
    document: Mapping[str, JSON]
    triggers: Sequence[TriggerRow]
    last: ExecutionRow | None

    @property
    def standing(self) -> str:
        """One word: ``active broken disabled paused removed``."""
        if self.row.removed_at is not None:
            return "removed"
        if self.row.problems is not None:
            return "broken"
        if not self.row.enabled:
            return "disabled"
        return "paused" if self.row.paused else "active"

    @property
    def next_at(self) -> int | None:
        """When a trigger is due next, in microseconds."""
        return min((t.next_at for t in self.triggers if t.next_at is not None), default=None)


def view(name: str, *, workspace: str = "default") -> BotView:
    """One bot, removed or not.

    Raises:
      BotNotFound: There is none of this name.
    """
    return _views([bots.get(name, workspace=workspace)])[0]


def listing(*, removed: bool = False, workspace: str = "default") -> list[BotView]:
    """The bots by name; with ``removed`` also those whose file is gone."""
    rows = BotRow.select().where(BotRow.workspace == workspace).order_by(BotRow.name)
    if not removed:
        rows = rows.where(BotRow.removed_at.is_null())
    return _views(list(rows))


def as_dict(view: BotView) -> dict[str, JSON]:
    """A bot as plain data for JSON."""
    row, last = view.row, view.last
    return {
        "name": row.name,
        "description": view.document.get("description", ""),
        "labels": view.document.get("labels", {}),
        "status": view.standing,
        "enabled": row.enabled,
        "paused": row.paused,
        "origin": row.origin,
        "source": row.source,
        "version": view.number,
        "pinned": row.pinned_digest is not None,
        "problems": loads(row.problems) if row.problems else [],
        "next_at": iso(view.next_at),
        "triggers": [_trigger(each) for each in view.triggers],
        "last_execution": last
        and {"id": last.id, "status": last.status, "finished_at": iso(last.finished_at)},
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def version_as_dict(row: VersionRow) -> dict[str, JSON]:
    """A version as plain data for JSON, without its definition."""
    return {
        "id": row.id,
        "number": row.number,
        "digest": row.digest,
        "origin": row.origin,
        "source": row.source,
        "created_at": iso(row.created_at),
    }


def _trigger(row: TriggerRow) -> dict[str, JSON]:
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


def _views(rows: Sequence[BotRow]) -> list[BotView]:
    """Views with one query for each kind of row, however many bots there are."""
    ids = [row.id for row in rows]
    versions = {
        version.id: version
        for version in VersionRow.select(VersionRow.id, VersionRow.number, VersionRow.document)
        .join(BotRow, on=(BotRow.active_version_id == VersionRow.id))
        .where(BotRow.id.in_(ids))
    }
    triggers: dict[str, list[TriggerRow]] = {}
    for trigger in TriggerRow.select().where(TriggerRow.bot_id.in_(ids)).order_by(TriggerRow.id):
        triggers.setdefault(trigger.bot_id, []).append(trigger)
    last = _last_executions(ids)
    views = []
    for row in rows:
        version = versions.get(row.active_version_id or "")
        views.append(
            BotView(
                row,
                version.number if version else None,
                loads(version.document) if version else {},
                triggers.get(row.id, []),
                last.get(row.id),
            )
        )
    return views


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
    ).where(ExecutionRow.id.in_(BotRow.select(last_id).where(BotRow.id.in_(ids))))
    return {row.bot_id: row for row in rows}
