"""The bot type of a whole bot, by which its executions are counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from codex32.kernel.database import fetch
from codex32.kernel.json_values import loads
from codex32.kernel.models import VersionRow

#: That of a bot whose steps have several.
MIXED = "mixed"


def common_type(types: Iterable[str]) -> str:
    """The type that all steps of a bot have, or :data:`MIXED`."""
    found = set(types)
    return found.pop() if len(found) == 1 else MIXED


def types_of_bots(version_ids: Collection[str]) -> Mapping[str, str]:
    """The same of versions that nobody runs, by their ids; of what is not there nothing."""
    wanted = VersionRow.id.in_(list(version_ids))
    rows = fetch(VersionRow.select(VersionRow.id, VersionRow.document).where(wanted))
    return {version_id: _of_document(loads(text)) for version_id, text in rows}


def _of_document(document: Mapping[str, Any]) -> str:
    return common_type(str(step.get("type", "")) for step in document.get("steps") or [document])
