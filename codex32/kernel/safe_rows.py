"""The rows of what is kept safe: secrets, what refers to them, and the audit log."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class DataKeyRow(Row):
    """A key that seals things of one scope, itself sealed with a key of the ring."""

    #: ``workspace:NAME``, ``webhooks:NAME``, ``audit`` or ``requests``.
    scope = pw.TextField()
    #: From 1, in its scope; the last is the present one.
    number = pw.IntegerField()
    #: Of the ring's key.
    key_id = pw.TextField()
    #: Nonce and ciphertext, in base64.
    wrapped = pw.TextField()
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "data_key"
        primary_key = pw.CompositeKey("scope", "number")


class SecretRow(Row):
    """A secret of a workspace."""

    workspace = pw.TextField()
    name = pw.TextField()
    #: Counts on with every value.
    version = pw.IntegerField()
    #: Number of the data key of the workspace.
    data_key = pw.IntegerField()
    #: Nonce and ciphertext, in base64; bound to workspace, name and version.
    sealed = pw.TextField()
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()
    #: Who gave it this value, by name.
    updated_by = pw.TextField()

    class Meta:
        table_name = "secret"
        primary_key = pw.CompositeKey("workspace", "name")


class ConnectionRow(Row):
    """A destination that steps reach by name, without its secrets."""

    workspace = pw.TextField()
    name = pw.TextField()
    #: ``http``, ``postgresql``, ``smtp``, …
    kind = pw.TextField()
    #: Host, port and the like, as JSON.
    config = pw.TextField()
    #: What is a secret's value (``password``) to the secret's name, as JSON.
    secrets = pw.TextField()
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()
    updated_by = pw.TextField()

    class Meta:
        table_name = "connection"
        primary_key = pw.CompositeKey("workspace", "name")


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


class RequestRow(Row):
    """A request that came with an idempotency key."""

    #: SHA-256 of the key, of whose it is and of the workspace.
    digest = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    #: SHA-256 of what is asked for.
    request = pw.TextField()
    #: Number of the data key, nonce and ciphertext; null while it is carried out.
    answer = pw.TextField(null=True)
    created_at = pw.BigIntegerField(index=True)

    class Meta:
        table_name = "request_key"


SAFE_ROWS: tuple[type[Row], ...] = (
    DataKeyRow,
    SecretRow,
    ConnectionRow,
    AuditRow,
    AuditSealRow,
    RequestRow,
)
