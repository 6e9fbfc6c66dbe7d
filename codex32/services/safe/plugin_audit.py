"""Putting down which plugins are there, whenever they are others than before."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.kernel.caller import HOUSE
from codex32.kernel.database import fetch
from codex32.kernel.json_values import loads
from codex32.kernel.loading import PluginRecord
from codex32.kernel.safe_rows import AuditRow
from codex32.services.safe import audit

_SUBJECT = "plugins"


def note(records: Sequence[PluginRecord], now: int) -> None:
    """Write an entry of the audit log if these are not those of the last one; called in a write.

    A plugin is code in the process, so what was loaded when is part of who could do what.
    """
    told = {
        each.name: {
            "distribution": each.distribution,
            "version": each.version,
            "state": each.state,
        }
        for each in sorted(records, key=lambda each: each.name)
    }
    entries = AuditRow.select(AuditRow.change).where(AuditRow.subject == _SUBJECT)
    last = fetch(entries.order_by(AuditRow.seq.desc()).limit(1))
    if not last or loads(last[0][0]) != told:
        audit.record(HOUSE, "plugins.changed", _SUBJECT, now, change=told, workspace="")
