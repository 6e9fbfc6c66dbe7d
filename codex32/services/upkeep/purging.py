"""Letting a workspace go with all that it has been: its history, and what its bots remembered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from codex32.kernel.caller import Caller
from codex32.kernel.database import Door, fetch
from codex32.kernel.models import (
    BotRow,
    ExecutionRow,
    OccurrenceRow,
    TriggerRow,
    VersionRow,
    WebhookPathRow,
)
from codex32.kernel.payloads import PayloadStore
from codex32.kernel.retrieval_rows import CollectionRow
from codex32.services.access import workspaces
from codex32.services.bots import memories
from codex32.services.retrieval.storing import Storing
from codex32.services.upkeep.retention import CHUNK, delete_executions, delete_files

log = logging.getLogger(__name__)

Change: TypeAlias = "Callable[[Callable[[], None]], Awaitable[None]]"


@dataclass(frozen=True, slots=True)
class Purge:
    """Deletes workspaces with their history; the audit log keeps what it says of them.

    History goes little by little, so that nobody waits for it; where this is broken off, it can be
    asked for again.

    Args:
      door: The database.
      change: Has the last of it written: ``Door.write``, or what makes recognisers forget as well.
      payloads: Where long values of executions lie.
      storing: Where the vectors of collections lie.
    """

    door: Door
    change: Change
    payloads: PayloadStore
    storing: Storing

    async def __call__(self, name: str, caller: Caller, now: int) -> None:
        """Delete a workspace.

        Args:
          name: The workspace.
          caller: Who wants it.
          now: Microseconds.

        Raises:
          WorkspaceNotFound: There is none.
          WorkspaceInUse: Something in it is live: nothing was deleted, or, where it came
            meanwhile, history alone.
        """
        door = self.door
        await door.read(workspaces.require_still, name)
        executions = collections = 0
        while ids := await door.read(_executions, name):
            await door.write(partial(delete_executions, ids))
            await asyncio.to_thread(delete_files, self.payloads, ids)
            executions += len(ids)
        while ids := await door.read(_occurrences, name):
            await door.write(OccurrenceRow.delete().where(OccurrenceRow.id.in_(ids)).execute)
        for each in await door.read(_collections, name):
            await self.storing.delete(name, each, caller, now)
            collections += 1

        def last() -> None:
            # Whoever came meanwhile is not swept away: this looks again.
            workspaces.require_still(name)
            purged = {"executions": executions, "collections": collections}
            purged["bots"] = _delete_bots(name)
            workspaces.delete(name, caller, now, purged=purged)

        await self.change(last)
        try:
            await self.storing.drop_all_gone()
        except Exception as error:
            log.warning("indexes of %s stay until another is deleted: %s", name, error)


def _delete_bots(workspace: str) -> int:
    mine = BotRow.workspace == workspace
    ids = [row[0] for row in fetch(BotRow.select(BotRow.id).where(mine))]
    memories.forget(ids)
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        for kind in (VersionRow, TriggerRow, WebhookPathRow):
            kind.delete().where(kind.bot_id.in_(some)).execute()
    BotRow.delete().where(mine).execute()
    return len(ids)


def _executions(workspace: str) -> list[str]:
    # One that came meanwhile keeps all that is its own; the last look finds it.
    over: Any = (ExecutionRow.workspace == workspace) & ExecutionRow.finished_at.is_null(False)
    return [row[0] for row in fetch(ExecutionRow.select(ExecutionRow.id).where(over).limit(CHUNK))]


def _occurrences(workspace: str) -> list[str]:
    bots = BotRow.select(BotRow.id).where(BotRow.workspace == workspace)
    mine = OccurrenceRow.bot_id.in_(bots)
    return [
        row[0] for row in fetch(OccurrenceRow.select(OccurrenceRow.id).where(mine).limit(CHUNK))
    ]


def _collections(workspace: str) -> list[str]:
    mine = CollectionRow.workspace == workspace
    return [row[0] for row in fetch(CollectionRow.select(CollectionRow.name).where(mine))]
