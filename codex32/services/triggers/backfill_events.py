"""Events that a bot was not there for, or could not take: found, and brought back as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from codex32.kernel.database import fetch
from codex32.kernel.event_names import matches
from codex32.kernel.ids import first_id
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import EventRow
from codex32.services.presentation import iso
from codex32.services.triggers.answering import Happening
from codex32.services.triggers.backfill_answers import Missed

#: An id is made up to this long before its row, or after it by a clock that goes before.
_SLACK = 3_600_000_000


def happened(
    workspace: str, first: int, last: int, patterns: Mapping[str, str]
) -> Iterator[Missed]:
    """What triggers would have answered, in the order in which it was written.

    Args:
      workspace: Whose events.
      first: The beginning of the range, in microseconds; it belongs to it.
      last: Its end, which does, too.
      patterns: Of the events' names, by trigger.
    """
    told = EventRow.select(EventRow.id, EventRow.name, EventRow.at).where(
        (EventRow.id >= first_id("evt", first - _SLACK))
        & (EventRow.id < first_id("evt", last + _SLACK))
        & EventRow.at.between(first, last)
        & (EventRow.workspace == workspace)
        # What nobody has delivered yet is the scheduler's.
        & EventRow.delivered_at.is_null(False)
    )
    latest = first
    for event_id, name, at in fetch(told.order_by(EventRow.seq)):
        # Of two events the one that was written later comes later, whatever its clock said.
        latest = max(latest, at)
        for trigger_id, pattern in patterns.items():
            if matches(name, pattern):
                yield Missed(latest, trigger_id, event_id)


def happenings(ids: Sequence[str]) -> dict[str, Happening]:
    """Events as triggers see them, by id; those that were let go meanwhile are not there."""
    columns = (EventRow.id, EventRow.name, EventRow.at, EventRow.data, EventRow.chain)
    found = {}
    for event_id, name, at, data, chain in fetch(
        EventRow.select(*columns).where(EventRow.id.in_(list(ids)))
    ):
        bots: list[str] = loads(chain)
        event: dict[str, JSON] = {"id": event_id, "name": name, "at": iso(at)}
        event |= {"data": loads(data), "chain": [*bots]}
        about: dict[str, JSON] = {"event": event, "backfill": True}
        found[event_id] = Happening(event_id, at, about, tuple(bots))
    return found
