"""The rows in which the processes of the house add up what they count."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


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
