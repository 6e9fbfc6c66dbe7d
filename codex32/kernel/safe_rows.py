"""The rows of what is kept safe: the audit log."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class AuditRow(Row):
    """An entry of the audit log; written once, by ``services.audit`` alone."""

    #: From 1, without gaps.
    seq = pw.BigIntegerField(primary_key=True)
    at = pw.BigIntegerField()
    #: As in ``kernel.caller.Caller``.
    actor_kind = pw.TextField()
    actor_id = pw.TextField()
    actor_name = pw.TextField()
    address = pw.TextField()
    request_id = pw.TextField()
    #: Empty where it concerns the installation.
    workspace = pw.TextField()
    #: ``noun.verb``
    action = pw.TextField()
    #: What it was done to: an id, or a name.
    subject = pw.TextField()
    #: ``done`` or ``refused``
    outcome = pw.TextField()
    #: What is other than before, as JSON.
    change = pw.TextField(null=True)
    #: With which key ``hash`` was made.
    key_id = pw.TextField()
    #: HMAC-SHA256 of the hash before and of all other columns.
    hash = pw.TextField()

    class Meta:
        table_name = "audit"


class AuditSealRow(Row):
    """A part of the audit log that was exported, so that its entries may leave."""

    #: The last entry of the part.
    last_seq = pw.BigIntegerField(primary_key=True)
    first_seq = pw.BigIntegerField()
    #: Of the last entry: there the rest of the chain goes on.
    hash = pw.TextField()
    #: SHA-256 of the exported file.
    digest = pw.TextField()
    at = pw.BigIntegerField()
    key_id = pw.TextField()
    #: HMAC-SHA256 of all other columns.
    mac = pw.TextField()

    class Meta:
        table_name = "audit_seal"


SAFE_ROWS: tuple[type[Row], ...] = (
    AuditRow,
    AuditSealRow,
)
