"""What bots have remembered between executions, let go as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.kernel.models import SeenRow, StateRow, TriggerRow
from codex32.kernel.watching_rows import FileSeenRow, SourceRow

_CHUNK = 500


def forget(bot_ids: Sequence[str]) -> None:
    """Forget the state of these bots, the keys ``dedupe`` has passed, the files they have seen.

    A bot of the same name that is made later is another one, and must not go on where these ended.
    """
    for start in range(0, len(bot_ids), _CHUNK):
        some = list(bot_ids[start : start + _CHUNK])
        triggers = TriggerRow.select(TriggerRow.id).where(TriggerRow.bot_id.in_(some))
        FileSeenRow.delete().where(FileSeenRow.trigger_id.in_(triggers)).execute()
        SourceRow.delete().where(SourceRow.trigger_id.in_(triggers)).execute()
        StateRow.delete().where(StateRow.bot_id.in_(some)).execute()
        SeenRow.delete().where(SeenRow.bot_id.in_(some)).execute()
