"""The rows of alerts: what bots want somebody to be told of, and how each stands."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class AlertRow(Row):
    """An alert about a bot. How it stands survives restarts and edits of its rule."""

    id = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    #: Whom it looks at; empty where no live bot has the name.
    bot_id = pw.TextField()
    bot_name = pw.TextField()
    #: Whose live version says it: the same bot, another one, or a file of alerts.
    owner_id = pw.TextField()
    owner_name = pw.TextField()
    #: Unique in its owner; over versions the same name is the same alert.
    name = pw.TextField()
    #: ``{"rule", "allow"}``: as the definition says, with the powers its notices have.
    definition = pw.TextField()
    #: The name of the events that it counts; None where it counts none.
    event = pw.TextField(null=True)
    #: ``ok`` or ``firing``.
    state = pw.TextField(default="ok")
    state_since = pw.BigIntegerField()
    #: Since when what it looks at has been other than its state says; None where it is as it says.
    turning_since = pw.BigIntegerField(null=True)
    #: What people were told last: ``ok firing escalated``.
    told = pw.TextField(default="ok")
    #: What was seen when its state changed, for people.
    detail = pw.TextField(default="")
    silenced_until = pw.BigIntegerField(null=True)
    silenced_by = pw.TextField(null=True)
    #: Who looks after it while it fires.
    acknowledged_by = pw.TextField(null=True)
    acknowledged_at = pw.BigIntegerField(null=True)
    note = pw.TextField(default="")
    #: The executions that carried the notices since it turned, as a JSON list.
    notices = pw.TextField(default="[]")
    #: Counts changes: of several that saw the same, the first one acts.
    revision = pw.IntegerField(default=0)
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "alert"
        indexes = (
            (("owner_id", "name", "bot_name"), True),
            (("bot_id",), False),
            (("workspace", "id"), False),
        )


class AlertRuleRow(Row):
    """What a live version wants to be known of other bots; each of them has an alert for it."""

    owner_id = pw.TextField()
    name = pw.TextField()
    owner_name = pw.TextField()
    workspace = pw.TextField()
    #: As the alerts have it.
    definition = pw.TextField()
    #: Names and patterns, as a JSON list.
    bots = pw.TextField()

    class Meta:
        table_name = "alert_rule"
        primary_key = pw.CompositeKey("owner_id", "name")


ALERT_ROWS: tuple[type[Row], ...] = (AlertRow, AlertRuleRow)
