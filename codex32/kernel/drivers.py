"""Loading peewee with the driver that is needed, and no other.

peewee loads the driver of PostgreSQL wherever it is installed: six MiB, and some hundredths of a
second, for each process of a house whose database is SQLite. Whoever asks for the driver later
gets it.
"""

from __future__ import annotations

import importlib
import sys

_POSTGRESQL_DRIVER = "psycopg2"


def load_peewee(database_url: str) -> None:
    """Import peewee, if nobody has, for the database that is behind the URL alone."""
    spared = database_url.startswith("sqlite:") and not {"peewee", _POSTGRESQL_DRIVER} & {
        *sys.modules
    }
    if spared:
        sys.modules[_POSTGRESQL_DRIVER] = None  # type: ignore[assignment]  # as if not installed
    try:
        importlib.import_module("peewee")
    finally:
        if spared:
            del sys.modules[_POSTGRESQL_DRIVER]
