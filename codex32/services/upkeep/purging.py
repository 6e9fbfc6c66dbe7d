"""Letting a workspace go with all that it has been: its history, and what its bots remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from codex32.kernel.caller import Caller
from codex32.kernel.database import Door, fetch
from codex32.kernel.models import (
    BotRow,
    ExecutionRow,
    OccurrenceRow,
    ProvenanceRow,
    TriggerRow,
    VersionRow,
    WebhookPathRow,
)
from codex32.kernel.payloads import PayloadStore
from codex32.services.access import workspaces
from codex32.services.bots import memories
from codex32.services.upkeep.retention import CHUNK, delete_executions, delete_files

Change: TypeAlias = "Callable[[Callable[[], None]], Awaitable[None]]"


async def purge(
    door: Door, change: Change, payloads: PayloadStore, name: str, caller: Caller, now: int
) -> None:
    """Delete a workspace with its history; the audit log keeps what it says of it.

    History goes little by little, so that nobody waits for it; where this is broken off, it can be
    asked for again.

    Args:
      door: The database.
      change: Has the last of it written: ``Door.write``, or what makes recognisers forget as well.
      payloads: Where long values of executions lie.
      name: The workspace.
      caller: Who wants it.
      now: Microseconds.

    Raises:
      WorkspaceNotFound: There is none.
      WorkspaceInUse: Something in it is live; nothing was deleted.
    """
    await door.read(workspaces.require_still, name)
    executions = 0
    while ids := await door.read(_executions, name):
        await door.write(partial(delete_executions, ids))
        await asyncio.to_thread(delete_files, payloads, ids)
        executions += len(ids)
    while ids := await door.read(_occurrences, name):
        await door.write(OccurrenceRow.delete().where(OccurrenceRow.id.in_(ids)).execute)

    def last() -> None:
        # Whoever came meanwhile is not swept away: this looks again.
        workspaces.require_still(name)
        mine = BotRow.workspace == name
        ids = [row[0] for row in fetch(BotRow.select(BotRow.id).where(mine))]
        memories.forget(ids)
        for start in range(0, len(ids), CHUNK):
            some = ids[start : start + CHUNK]
            for kind in (VersionRow, TriggerRow, WebhookPathRow):
                kind.delete().where(kind.bot_id.in_(some)).execute()
        BotRow.delete().where(mine).execute()
        ProvenanceRow.delete().where(ProvenanceRow.workspace == name).execute()
        workspaces.delete(name, caller, now, purged={"executions": executions, "bots": len(ids)})

    await change(last)


def _executions(workspace: str) -> list[str]:
    mine: Any = ExecutionRow.workspace == workspace
    return [row[0] for row in fetch(ExecutionRow.select(ExecutionRow.id).where(mine).limit(CHUNK))]


def _occurrences(workspace: str) -> list[str]:
    bots = BotRow.select(BotRow.id).where(BotRow.workspace == workspace)
    mine = OccurrenceRow.bot_id.in_(bots)
    return [
        row[0] for row in fetch(OccurrenceRow.select(OccurrenceRow.id).where(mine).limit(CHUNK))
    ]
