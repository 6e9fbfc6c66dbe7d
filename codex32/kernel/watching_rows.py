"""What triggers saw of what they watch."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class FileSeenRow(Row):
    """A file as a trigger last saw it; the row without a path says that it looked before."""

    trigger_id = pw.TextField()
    path = pw.TextField()
    size = pw.BigIntegerField()
    mtime_ns = pw.BigIntegerField()

    class Meta:
        table_name = "file_seen"
        primary_key = pw.CompositeKey("trigger_id", "path")


class SourceRow(Row):
    """How far a trigger has read what it watches."""

    trigger_id = pw.TextField(primary_key=True)
    #: JSON, the source's own.
    cursor = pw.TextField()
    moved_at = pw.BigIntegerField()

    class Meta:
        table_name = "source"


WATCHING_ROWS: tuple[type[Row], ...] = (FileSeenRow, SourceRow)
