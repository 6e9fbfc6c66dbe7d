"""Bringing the database's tables to where the code expects them.

Runs peewee's migration runner and adds what it lacks: one upgrade at a time (an advisory lock on
PostgreSQL, a lock file beside a SQLite file), and a digest of each applied script. The runner, and
all that peewee loads with it, is loaded where there is something to apply.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import as_file
from pathlib import Path

import peewee as pw

from codex32.kernel.contracts.migration import MigrationSource
from codex32.kernel.errors import Codex32Error, SchemaOutOfDate

#: Any constant does, as long as every process uses the same ("codex32" as a number).
_ADVISORY_LOCK = 0x636F646578


class MigrationChanged(Codex32Error):
    """A script was edited after it had been applied."""

    code = "migration-changed"


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """A migration, and whether the database has it; ``known`` where its script is here."""

    source: str
    name: str
    applied: bool
    known: bool = True


def status(database: pw.Database, sources: Sequence[MigrationSource]) -> list[MigrationStatus]:
    """Every known migration, in order."""
    found: list[MigrationStatus] = []
    for source in sources:
        with as_file(source.scripts) as folder:
            found += _status(database, source, folder)
    return found


def require(database: pw.Database, sources: Sequence[MigrationSource]) -> None:
    """Refuse a database that lacks a migration.

    Raises:
      SchemaOutOfDate: Names what is missing.
    """
    pending = [f"{m.source}/{m.name}" for m in status(database, sources) if not m.applied]
    if pending:
        raise SchemaOutOfDate(pending)


def upgrade(database: pw.Database, sources: Sequence[MigrationSource]) -> list[str]:
    """Apply what is missing, one process at a time; the names of what was applied.

    Raises:
      MigrationChanged: An applied script is no longer what it was.
    """
    applied: list[str] = []
    with _one_at_a_time(database):
        for source in sources:
            with as_file(source.scripts) as folder:
                _check_digests(database, source, folder)
                try:
                    if any(not each.applied for each in _status(database, source, folder)):
                        applied += _apply(database, source, folder)
                finally:  # a script that fails does not undo the ones before it
                    _store_digests(database, source, folder)
    return applied


def _apply(database: pw.Database, source: MigrationSource, folder: Path) -> list[str]:
    from playhouse.migrations import Runner

    runner = Runner(database, str(folder), table_name=_table(source))
    return [f"{source.name}/{name}" for name in runner.up()]


def _table(source: MigrationSource) -> str:
    return f"schema_migration_{source.name}"


def _scripts(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob("[0-9]*.py")]


def _place(name: str) -> tuple[int, str]:
    """What the runner orders scripts by."""
    number = re.match(r"\d+", name)
    return (int(number.group()) if number else -1, name)


def _status(database: pw.Database, source: MigrationSource, folder: Path) -> list[MigrationStatus]:
    """The scripts of a folder, and those applied whose scripts are gone, in order."""
    applied: set[str] = set()
    if database.table_exists(_table(source)):
        rows = database.execute_sql(f"SELECT name FROM {_table(source)}")  # noqa: S608 - our own
        applied = {name for (name,) in rows.fetchall()}
    scripts = {*_scripts(folder)}
    return [
        MigrationStatus(source.name, name, name in applied, name in scripts)
        for name in sorted(scripts | applied, key=_place)
    ]


@contextlib.contextmanager
def _one_at_a_time(database: pw.Database) -> Iterator[None]:
    if isinstance(database, pw.SqliteDatabase):
        path = Path(f"{database.database}.migrate.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    else:
        database.execute_sql("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
        try:
            yield
        finally:
            database.execute_sql("SELECT pg_advisory_unlock(%s)", (_ADVISORY_LOCK,))


def _digest(folder: Path, name: str) -> str:
    return hashlib.sha256((folder / f"{name}.py").read_bytes()).hexdigest()


def _check_digests(database: pw.Database, source: MigrationSource, folder: Path) -> None:
    scripts = set(_scripts(folder))
    for name, digest in _digests(database, source).items():
        if name in scripts and _digest(folder, name) != digest:
            raise MigrationChanged(
                f"migration {source.name}/{name} was edited after it had been applied; "
                "released scripts never change: restore it and write a new one"
            )


def _digests(database: pw.Database, source: MigrationSource) -> dict[str, str]:
    database.execute_sql(
        "CREATE TABLE IF NOT EXISTS schema_migration_digest ("
        "source TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, "
        "PRIMARY KEY (source, name))"
    )
    rows = database.execute_sql(
        f"SELECT name, digest FROM schema_migration_digest WHERE source = {_mark(database)}",  # noqa: S608
        (source.name,),
    )
    return dict(rows.fetchall())


def _store_digests(database: pw.Database, source: MigrationSource, folder: Path) -> None:
    known = _digests(database, source)
    mark = _mark(database)
    scripts = set(_scripts(folder))
    for each in _status(database, source, folder):
        if each.applied and each.name in scripts and each.name not in known:
            database.execute_sql(
                f"INSERT INTO schema_migration_digest VALUES ({mark}, {mark}, {mark})",  # noqa: S608
                (source.name, each.name, _digest(folder, each.name)),
            )


def _mark(database: pw.Database) -> str:
    return "?" if isinstance(database, pw.SqliteDatabase) else "%s"
