"""What executions bring to be handed out together: to one of them, once, when the time has come.

Every one of them waits until then, so nothing that was brought hangs on the life of another: who
is first to come back is handed what all brought, and the others nothing. What an execution brought
that ended meanwhile is withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.engine.records import gates
from codex32.kernel.database import fetch
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import ExecutionRow
from codex32.kernel.waiting_rows import GatheredRow


@dataclass(frozen=True, slots=True)
class Share:
    """What one step, or one item of it, brings.

    Attributes:
      owner: The execution; of retries the first one.
      execution_id: The execution that waits.
      key: What it shall come out with.
      due_at: When, at the latest (microseconds).
    """

    owner: str
    step: str
    item: int
    execution_id: str
    workspace: str
    key: str
    items: Sequence[JSON]
    due_at: int

    @property
    def name(self) -> str:
        """Who is handed what was gathered."""
        return f"{self.owner}:{self.step}:{self.item}"

    @property
    def together(self) -> pw.Expression:
        """All that comes out with it, now or before."""
        return (GatheredRow.workspace == self.workspace) & (GatheredRow.key == self.key)

    @property
    def own(self) -> pw.Expression:
        """The row of this one."""
        return (
            (GatheredRow.owner == self.owner)
            & (GatheredRow.step == self.step)
            & (GatheredRow.item == self.item)
        )


def bring(share: Share, now: int) -> tuple[int, list[JSON] | None]:
    """Leave a share once, and be handed what was gathered when its time has come.

    Who comes while others wait under its key goes out with them, so their time is its time.

    Returns:
      When it comes out, and what is handed to this one; None where that time is not yet.
    """
    gates.lock(f"gathered:{share.workspace}:{share.key}")
    row = GatheredRow.get_or_none(share.own)
    if row is None:
        row = _left(share, now)
    elif row.execution_id != share.execution_id:  # a retry waits in the place of the first
        GatheredRow.update(execution_id=share.execution_id).where(share.own).execute()
    if row.taken_by is None:
        if row.due_at > now:
            return row.due_at, None
        _take(share, now)
    return row.due_at, _handed(share)


def _left(share: Share, now: int) -> GatheredRow:
    others = share.together & GatheredRow.taken_by.is_null() & (GatheredRow.due_at > now)
    first = GatheredRow.select(pw.fn.MIN(GatheredRow.due_at)).where(others).scalar()
    return GatheredRow.create(
        owner=share.owner,
        step=share.step,
        item=share.item,
        execution_id=share.execution_id,
        workspace=share.workspace,
        key=share.key,
        items=dumps(list(share.items)),
        due_at=share.due_at if first is None else min(int(first), share.due_at),
        brought_at=now,
    )


def _take(share: Share, now: int) -> None:
    """Take all that is due, but for what nobody waits for any more."""
    due = share.together & GatheredRow.taken_by.is_null() & (GatheredRow.due_at <= now)
    # Found by their ids: who has not ended is a question to all executions there ever were.
    live = ExecutionRow.select(ExecutionRow.id).where(
        ExecutionRow.id.in_(GatheredRow.select(GatheredRow.execution_id).where(due))
        & ExecutionRow.finished_at.is_null()
        & ExecutionRow.cancel_at.is_null()
    )
    taken = GatheredRow.update(taken_by=share.name)
    taken.where(due & GatheredRow.execution_id.in_(live)).execute()


def _handed(share: Share) -> list[JSON]:
    """What this one has taken, in the order in which it was brought; nothing if another has."""
    mine = GatheredRow.select(GatheredRow.items).where(
        share.together & (GatheredRow.taken_by == share.name)
    )
    order = (GatheredRow.brought_at, GatheredRow.owner, GatheredRow.step, GatheredRow.item)
    return [each for (text,) in fetch(mine.order_by(*order)) for each in loads(text)]
