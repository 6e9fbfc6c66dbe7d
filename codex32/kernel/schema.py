"""Bringing the database's tables to where the code expects them.

Runs peewee's migration runner and adds what it lacks: one upgrade at a time (an advisory lock on
PostgreSQL, a lock file beside a SQLite file), and a digest of each applied script.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import as_file
from pathlib import Path

import peewee as pw
from playhouse.migrations import Runner

from codex32.kernel.contracts.migration import MigrationSource
from codex32.kernel.errors import Codex32Error, SchemaOutOfDate

#: Any constant does, as long as every process uses the same ("codex32" as a number).
_ADVISORY_LOCK = 0x636F646578


class MigrationChanged(Codex32Error):
    """A script was edited after it had been applied."""

    code = "migration-changed"


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """A migration, and whether the database has it."""

    source: str
    name: str
    applied: bool


def status(database: pw.Database, sources: Sequence[MigrationSource]) -> list[MigrationStatus]:
    """Every known migration, in order."""
    found: list[MigrationStatus] = []
    for source in sources:
        with _runner(database, source) as (runner, _):
            found += [
                MigrationStatus(source.name, each.name, each.applied is not None)
                for each in runner.status()
            ]
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
            with _runner(database, source) as (runner, folder):
                _check_digests(database, source, runner, folder)
                try:
                    applied += [f"{source.name}/{name}" for name in runner.up()]
                finally:  # a script that fails does not undo the ones before it
                    _store_digests(database, source, runner, folder)
    return applied


@contextlib.contextmanager
def _runner(database: pw.Database, source: MigrationSource) -> Iterator[tuple[Runner, Path]]:
    with as_file(source.scripts) as folder:
        yield Runner(database, str(folder), table_name=f"schema_migration_{source.name}"), folder


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


def _check_digests(
    database: pw.Database, source: MigrationSource, runner: Runner, folder: Path
) -> None:
    scripts = {each.name for each in runner.migrations()}
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


def _store_digests(
    database: pw.Database, source: MigrationSource, runner: Runner, folder: Path
) -> None:
    known = _digests(database, source)
    mark = _mark(database)
    for each in runner.status():
        if each.applied and each.path and each.name not in known:
            database.execute_sql(
                f"INSERT INTO schema_migration_digest VALUES ({mark}, {mark}, {mark})",  # noqa: S608
                (source.name, each.name, _digest(folder, each.name)),
            )


def _mark(database: pw.Database) -> str:
    return "?" if isinstance(database, pw.SqliteDatabase) else "%s"
