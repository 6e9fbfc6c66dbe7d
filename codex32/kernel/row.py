"""What all rows have in common, and the database that they are bound to."""

from __future__ import annotations

import peewee as pw

database_proxy: pw.DatabaseProxy = pw.DatabaseProxy()


class Row(pw.Model):
    """Every row."""

    class Meta:
        database = database_proxy
        legacy_table_names = False
