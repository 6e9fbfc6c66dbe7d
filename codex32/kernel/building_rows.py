"""Bots that are being built."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class BuildRow(Row):
    """A session of the builder: what somebody described, on its way to a bot."""

    id = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    #: Who began it, as the audit log names them.
    owner = pw.TextField()
    #: The session it was branched from.
    parent_id = pw.TextField(null=True)
    #: The bot that is refined, and its version at that time; null where a new one is built.
    bot = pw.TextField(null=True)
    base_version_id = pw.TextField(null=True)
    #: ``working asking ready accepted undone abandoned failed``.
    status = pw.TextField()
    #: What is done, or to be done, while it is working: ``interpret compose prove``.
    stage = pw.TextField()
    #: What it was asked and what each stage came to, as JSON.
    work = pw.TextField()
    #: Changes so far; whoever writes names the number that they have seen.
    version = pw.IntegerField(default=1)
    #: What models may cost in this session.
    budget_nano = pw.BigIntegerField()
    #: How long it may work, from when it began to, or was last answered.
    deadline_at = pw.BigIntegerField()
    #: While somebody works on it: when whoever that is must have died.
    lease_until = pw.BigIntegerField(null=True)
    #: Why it failed.
    message = pw.TextField(default="")
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()

    class Meta:
        table_name = "build"
        indexes = ((("workspace", "id"), False), (("status", "lease_until"), False))


BUILDING_ROWS: tuple[type[Row], ...] = (BuildRow,)
