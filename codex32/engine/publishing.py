"""Whether what a step wants to publish may be published."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.kernel.event_names import LONGEST_DATA, name_fault
from codex32.kernel.json_values import dumps, is_json
from codex32.kernel.outcomes import Failed, Publication


def publication_fault(publications: Sequence[Publication]) -> Failed | None:
    """The first fault of ``publications``; None where all may be published."""
    for each in publications:
        if fault := name_fault(each.name):
            return Failed(fault, code="event")
        if not is_json(each.data):
            return Failed(f"the data of {each.name} are no JSON", code="event")
        if len(dumps(each.data)) > LONGEST_DATA:
            limit = LONGEST_DATA // 1024
            return Failed(
                f"the data of {each.name} are longer than {limit} KiB; store them, and publish "
                "where they are",
                code="event",
            )
    return None
