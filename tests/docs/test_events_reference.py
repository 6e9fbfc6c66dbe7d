"""The reference of events names every event, its fields, and whether anything tells it."""

import dataclasses
import inspect
import re
from pathlib import Path

from codex32.kernel import events

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "events.md").read_text()
ROWS = {
    name: (fields.replace("`", "").split(), told)
    for name, fields, told in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", PAGE, re.MULTILINE)
}
#: ``Event`` and ``ExecutionEvent`` are what the others have in common.
EVENTS = {
    name: kind
    for name, kind in vars(events).items()
    if inspect.isclass(kind) and issubclass(kind, events.Event) and not kind.__subclasses__()
}
COMMON = ("at", "workspace")


def source():
    for folder in ("codex32", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            yield path.read_text()


def test_every_event_has_its_row_with_its_fields_in_order():
    fields = {
        name: [field.name for field in dataclasses.fields(kind) if field.name not in COMMON]
        for name, kind in EVENTS.items()
    }
    assert {name: row[0] for name, row in ROWS.items()} == fields


def test_what_nothing_tells_yet_is_said_to_be_so():
    text = "\n".join(source())
    silent = {name for name in EVENTS if not re.search(rf"\b{name}\(\n? *at=", text)}
    assert {name for name, row in ROWS.items() if row[1].startswith("not told yet")} == silent
