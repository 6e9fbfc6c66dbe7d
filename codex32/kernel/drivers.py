"""Loading libraries without what they load beside, wherever it is installed, and nobody uses.

peewee loads the driver of PostgreSQL: six MiB, and some hundredths of a second, for each process
of a house whose database is SQLite. structlog loads rich, which draws for terminals: four MiB.
Whoever asks for such a module later gets it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator

_POSTGRESQL_DRIVER = "psycopg2"


def load_peewee(database_url: str) -> None:
    """Import peewee, if nobody has, for the database that is behind the URL alone."""
    spared = database_url.startswith("sqlite:") and "peewee" not in sys.modules
    with as_if_missing(_POSTGRESQL_DRIVER) if spared else contextlib.nullcontext():
        importlib.import_module("peewee")


@contextlib.contextmanager
def as_if_missing(module: str) -> Iterator[None]:
    """Let a module that nobody has loaded seem not to be installed while the block runs."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
