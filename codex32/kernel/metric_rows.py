"""The rows of processes: that they live, what they count, and which models they leave alone."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class ProcessRow(Row):
    """A live process of the house, by its heartbeat."""

    id = pw.TextField(primary_key=True)
    kind = pw.TextField()
    host = pw.TextField()
    pid = pw.IntegerField()
    started_at = pw.BigIntegerField()
    seen_at = pw.BigIntegerField()
    #: Name -> ``size``, ``in_use`` and ``waiting`` as a JSON object of lists, see
    #: :mod:`codex32.kernel.pools`.
    pools = pw.TextField(null=True)

    class Meta:
        table_name = "process"


class MetricRow(Row):
    """What all processes have counted of one thing, see ``codex32.services.metering``."""

    name = pw.TextField()
    #: Values of the metric's labels, as a JSON list.
    labels = pw.TextField()
    #: Of a histogram, the upper bound of a bucket or ``sum`` (microseconds); else empty.
    part = pw.TextField()
    value = pw.BigIntegerField()

    class Meta:
        table_name = "metric"
        primary_key = pw.CompositeKey("name", "labels", "part")


class BreakerRow(Row):
    """A breaker that opened, until it closes; of those that are closed nothing is told.

    What decides whether a model is asked is not this row but the board that processes share, see
    ``codex32.services.ai.breakers``.
    """

    #: As on the board: a digest, which gives no key away.
    name = pw.TextField(primary_key=True)
    provider = pw.TextField()
    open_until = pw.BigIntegerField()
    #: When the board has forgotten that it ever opened.
    forgotten_at = pw.BigIntegerField()

    class Meta:
        table_name = "breaker"


METRIC_ROWS: tuple[type[Row], ...] = (ProcessRow, MetricRow, BreakerRow)
