"""Whether what a step wants to publish may be published."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.kernel.errors import StepFault
from codex32.kernel.event_names import LONGEST_DATA, name_fault
from codex32.kernel.json_values import dumps, is_json
from codex32.kernel.outcomes import Publication


def check_publications(publications: Sequence[Publication]) -> None:
    """Check what a step publishes.

    Raises:
      StepFault: A name is not ``custom.*``, or data are no JSON or too long.
    """
    for each in publications:
        if fault := name_fault(each.name):
            raise StepFault(fault, code="event")
        if not is_json(each.data):
            raise StepFault(f"the data of {each.name} are no JSON", code="event")
        if len(dumps(each.data)) > LONGEST_DATA:
            raise StepFault(
                f"the data of {each.name} are longer than {LONGEST_DATA // 1024} KiB; store "
                "them, and publish where they are",
                code="event",
            )
