"""The memory of ``dedupe``: which keys a step has passed on, decided once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codex32.kernel.batches import Insert
from codex32.kernel.database import fetch
from codex32.kernel.models import SeenRow

_CHUNK = 500
_INSERT = Insert(SeenRow, ("bot_id", "step", "digest", "owner", "seen_at", "expires_at"))


@dataclass(frozen=True, slots=True)
class Question:
    """Which of ``digests`` are new to a step of a bot. ``owner``: the execution and item."""

    bot_id: str
    step: str
    owner: str
    digests: Sequence[str]
    now: int
    expires_at: int | None


def first_time(question: Question) -> list[bool]:
    """Tell for each digest whether it is new, and remember it as the owner's.

    What is already the owner's is new again, so that a repeated step is answered alike. Of two
    executions that ask at once, the key's unique row makes one the owner.
    """
    mine: set[str] = set()
    unique = list(dict.fromkeys(question.digests))
    for start in range(0, len(unique), _CHUNK):
        chunk = unique[start : start + _CHUNK]
        here = (
            (SeenRow.bot_id == question.bot_id)
            & (SeenRow.step == question.step)
            & SeenRow.digest.in_(chunk)
        )
        SeenRow.delete().where(here & (SeenRow.expires_at <= question.now)).execute()
        _INSERT.write(
            [
                (q.bot_id, q.step, digest, q.owner, q.now, q.expires_at)
                for q in (question,)
                for digest in chunk
            ]
        )
        owned = SeenRow.select(SeenRow.digest).where(here & (SeenRow.owner == question.owner))
        mine.update(row[0] for row in fetch(owned))
    answers = []
    for digest in question.digests:
        answers.append(digest in mine)
        mine.discard(digest)
    return answers
