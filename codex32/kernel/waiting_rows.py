"""What waits to go out together, and the links by which people answer what waits for them."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class GatheredRow(Row):
    """What a ``gather`` step, or an item of one, brought to be handed out with others' things."""

    #: The execution; of retries the first one, so that each is handed the same again.
    owner = pw.TextField()
    step = pw.TextField()
    item = pw.IntegerField()
    #: The execution that waits; what it brought is withdrawn where it ended before.
    execution_id = pw.TextField()
    workspace = pw.TextField()
    #: ``key:TEXT`` or ``step:NAME.ID``: what is gathered under one key comes out together.
    key = pw.TextField()
    #: A JSON list, masked.
    items = pw.TextField()
    due_at = pw.BigIntegerField()
    brought_at = pw.BigIntegerField()
    #: ``OWNER:STEP:ITEM`` of who was handed it.
    taken_by = pw.TextField(null=True)

    class Meta:
        table_name = "gathered"
        primary_key = pw.CompositeKey("owner", "step", "item")
        indexes = ((("workspace", "key", "taken_by", "due_at"), False),)


class ApprovalLinkRow(Row):
    """A link by which whoever has it decides what a step asks."""

    #: SHA-256 of what stands in the link, which is nowhere kept.
    digest = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    execution_id = pw.TextField()
    #: The step that asks, or will.
    step = pw.TextField()
    item = pw.IntegerField()
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "approval_link"
        indexes = ((("execution_id",), False),)


WAITING_ROWS: tuple[type[Row], ...] = (GatheredRow, ApprovalLinkRow)
