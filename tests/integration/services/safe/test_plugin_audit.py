"""Which plugins are loaded is in the audit log, once for each time they change."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from codex32.kernel.database import Door
from codex32.kernel.json_values import loads
from codex32.kernel.loading import PluginRecord
from codex32.kernel.safe_rows import AuditRow
from codex32.services.safe import plugin_audit


def test_an_entry_is_written_when_the_plugins_are_others(door: Door) -> None:
    mail = PluginRecord("mail", "codex32-mail", "1.0", "loaded")
    newer, gone = replace(mail, version="1.1"), replace(mail, version="1.1", state="blocked")
    for records in ([mail], [mail], [newer], [newer, mail], [gone], [gone]):
        unlike = records if len(records) == 1 else [replace(records[0], name="a"), records[1]]
        door.write_now(partial(plugin_audit.note, unlike, 7))
    told = door.read_now(lambda: [loads(row.change) for row in AuditRow.select()])
    assert [sorted((name, each["version"]) for name, each in all_.items()) for all_ in told] == [
        [("mail", "1.0")],
        [("mail", "1.1")],
        [("a", "1.1"), ("mail", "1.0")],
        [("mail", "1.1")],
    ]
    assert told[-1]["mail"]["state"] == "blocked"
