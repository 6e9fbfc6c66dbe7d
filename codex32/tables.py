"""The tables of the house: brought up to date, required, told of.

Apart from the runtime, since whoever looks after tables needs no engine.
"""

from __future__ import annotations

from importlib.resources import files

import peewee as pw

from codex32.kernel import schema
from codex32.kernel.clock import SystemClock
from codex32.kernel.connection import connect
from codex32.kernel.contracts.migration import MigrationSource
from codex32.kernel.events import SchemaUpgraded
from codex32.kernel.plugins import Plugins
from codex32.kernel.private_files import private_folder
from codex32_config.settings import Settings


def open_database(settings: Settings) -> pw.Database:
    """The database that the settings name; the folder of a file is made, for its owner alone."""
    if settings.database_url.startswith("sqlite:///"):
        private_folder(settings.home)
    return connect(settings.database_url)


def core_migrations() -> MigrationSource:
    """The core's own tables."""
    return MigrationSource("core", files("codex32_migrations"))


def migration_sources(plugins: Plugins) -> list[MigrationSource]:
    """The core's tables and those of the plugins."""
    return [core_migrations(), *(source for _, source in plugins.migrations())]


def upgrade_schema(settings: Settings, plugins: Plugins) -> list[str]:
    """Apply the migrations that the database lacks; their names."""
    database = open_database(settings)
    try:
        applied = schema.upgrade(database, migration_sources(plugins))
    finally:
        database.close()
    now = SystemClock.shared.now()
    for source in dict.fromkeys(name.partition("/")[0] for name in applied):
        names = tuple(n.partition("/")[2] for n in applied if n.startswith(f"{source}/"))
        plugins.tell(SchemaUpgraded(at=now, source=source, applied=names))
    return applied


def require_schema(settings: Settings, plugins: Plugins) -> None:
    """Refuse a database that lacks migrations, before processes are started that would.

    Raises:
      SchemaOutOfDate: Names what is missing.
    """
    database = open_database(settings)
    try:
        schema.require(database, migration_sources(plugins))
    finally:
        database.close()


def schema_status(settings: Settings, plugins: Plugins) -> list[schema.MigrationStatus]:
    """Every known migration, and whether the database has it."""
    database = open_database(settings)
    try:
        return schema.status(database, migration_sources(plugins))
    finally:
        database.close()
