"""The rows of who follows events from outside: streams of the API, and webhooks that go out."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class FeedRow(Row):
    """Events that are written because a stream of the API shows them, or did lately."""

    workspace = pw.TextField()
    pattern = pw.TextField()
    opened_at = pw.BigIntegerField()
    #: Until when they are written, if nobody asks for longer.
    kept_until = pw.BigIntegerField()
    #: After this ``event.seq`` every process writes them; None while some may not have heard.
    whole_from = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "feed"
        primary_key = pw.CompositeKey("workspace", "pattern")


class EndpointRow(Row):
    """An address that is told of events: a webhook that goes out."""

    id = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    url = pw.TextField()
    description = pw.TextField(default="")
    #: Names and patterns of events, as a JSON list.
    patterns = pw.TextField()
    #: Sealed: ``[{"secret", "until"}]``, the newest first; those that are replaced have an end.
    secrets = pw.TextField()
    enabled = pw.BooleanField(default=True)
    #: Why the house disabled it: ``gone`` (it answered 410), ``failing``; empty where nobody did.
    disabled_because = pw.TextField(default="")
    #: Since when nothing got through.
    failing_since = pw.BigIntegerField(null=True)
    #: It asked not to be told anything before (``Retry-After``).
    resume_at = pw.BigIntegerField(null=True)
    #: Deliveries that got through, and that were given up.
    delivered = pw.BigIntegerField(default=0)
    failed = pw.BigIntegerField(default=0)
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()

    class Meta:
        table_name = "endpoint"
        indexes = ((("workspace", "id"), False),)


class DeliveryRow(Row):
    """One event for one endpoint. Its id is the ``webhook-id``, the same at every attempt."""

    id = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    endpoint_id = pw.TextField()
    event_id = pw.TextField()
    name = pw.TextField()
    #: What is sent, to the byte.
    body = pw.TextField()
    #: ``pending delivered failed``.
    status = pw.TextField()
    #: Attempts begun so far.
    tries = pw.IntegerField(default=0)
    #: The attempt after which the present round began: a replay begins another.
    round_from = pw.IntegerField(default=0)
    #: When it is tried next. Whoever tries it moves it on first, beyond the end of the attempt.
    next_at = pw.BigIntegerField(null=True)
    created_at = pw.BigIntegerField()
    finished_at = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "delivery"
        indexes = (
            (("endpoint_id", "event_id"), True),
            (("endpoint_id", "id"), False),
            (("endpoint_id", "status", "id"), False),
        )


class DeliveryAttemptRow(Row):
    """One sending of a delivery."""

    delivery_id = pw.TextField()
    number = pw.IntegerField()
    #: The process that sent it.
    sender = pw.TextField()
    started_at = pw.BigIntegerField()
    ended_at = pw.BigIntegerField(null=True)
    #: ``sending``; then ``delivered``, ``refused`` (another status), ``unreachable``, ``cut``,
    #: ``timeout``, ``forbidden`` (no public address), ``unsigned`` (the keys do not open), or
    #: ``unknown``: its sender is gone.
    outcome = pw.TextField()
    #: Of the answer.
    status = pw.IntegerField(null=True)
    #: How the answer began, or what went wrong.
    answer = pw.TextField(default="")

    class Meta:
        table_name = "delivery_attempt"
        primary_key = pw.CompositeKey("delivery_id", "number")


OUTBOUND_ROWS: tuple[type[Row], ...] = (FeedRow, EndpointRow, DeliveryRow, DeliveryAttemptRow)
