"""Links by which people answer what a step asks: made before they are sent, kept as digests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from codex32.kernel.models import ApprovalRow, ExecutionRow
from codex32.kernel.waiting_rows import ApprovalLinkRow


@dataclass(frozen=True, slots=True)
class Link:
    """A link to what a step asks, or will ask. ``token`` is what makes it one; it is not kept."""

    token: str
    workspace: str
    execution_id: str
    step: str
    item: int
    created_at: int


def keep(link: Link) -> None:
    """Let the link lead somewhere from now on; called in a write."""
    row = ApprovalLinkRow.insert(
        digest=_digest(link.token),
        workspace=link.workspace,
        execution_id=link.execution_id,
        step=link.step,
        item=link.item,
        created_at=link.created_at,
    )
    # A commit whose answer was lost is made again, and finds its own.
    row.on_conflict_ignore().execute()


def follow(token: str) -> tuple[bool, ApprovalRow | None]:
    """Whether a link leads somewhere, and the approval there; None where nothing is asked yet."""
    link = ApprovalLinkRow.get_or_none(ApprovalLinkRow.digest == _digest(token))
    if link is None:
        return False, None
    there = (
        (ApprovalRow.execution_id == link.execution_id)
        & (ApprovalRow.step == link.step)
        & (ApprovalRow.item == link.item)
    )
    asked = ApprovalRow.select().where(there).order_by(ApprovalRow.id.desc()).first()
    ended = ExecutionRow.select().where(
        (ExecutionRow.id == link.execution_id) & ExecutionRow.finished_at.is_null(False)
    )
    # An execution that ended before it asked will ask no more.
    return asked is not None or not ended.exists(), asked


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
