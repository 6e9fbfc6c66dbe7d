"""How far whoever changes a collection has come, for those who look on."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.retrieval_rows import CollectionRow

#: Ends the name of a holder, before what tells its holds apart.
MARK = " hld_"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where long work stands.

    Attributes:
      stage: ``index``: documents are taken in; ``embed`` and ``store``: chunks are.
      done: How many of them.
      total: How many there are.
      document: Where documents are taken in, the first of those that are.
    """

    stage: str
    done: int
    total: int
    document: str | None = None

    def packed(self) -> str:
        """As a row holds it."""
        return dumps(asdict(self))


def changing(row: CollectionRow, now: int) -> dict[str, JSON] | None:
    """Who changes a collection, and how far that is; None where nobody does any more."""
    if row.holder is None or row.held_until is None or row.held_until < now:
        return None
    nothing = {"stage": None, "done": None, "total": None, "document": None}
    told = nothing if row.progress is None else loads(row.progress)
    return {"by": row.holder.partition(MARK)[0], **told}


def sentence(told: dict[str, JSON] | None) -> str | None:
    """The same for people."""
    if told is None or told["stage"] is None:
        return None if told is None else str(told["by"])
    what = "documents" if told["stage"] == "index" else "chunks"
    at = f", at {told['document']}" if told["document"] else ""
    return f"{told['by']}: {told['stage']}, {told['done']} of {told['total']} {what}{at}"
