"""The tables, as scripts make them, on both databases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import peewee as pw
import pytest
from playhouse.migrations import Runner
from playhouse.schema_diff import diff_models

from codex32 import MigrationSource
from codex32.kernel import schema
from codex32.kernel.database import connect
from codex32.kernel.errors import SchemaOutOfDate
from codex32.kernel.models import ROWS, database_proxy

CORE = MigrationSource("core", files("codex32_migrations"))


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[pw.Database]:
    database = connect(empty_database_url)
    yield database
    database.close()


@pytest.fixture
def migrated(database_url: str) -> Iterator[pw.Database]:
    database = connect(database_url)
    database_proxy.initialize(database)
    yield database
    database.close()


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "scripts"
    folder.mkdir()
    write(folder, "0001_first", "db.execute_sql('CREATE TABLE one (id INTEGER)')")
    return folder


def write(folder: Path, name: str, body: str) -> None:
    text = f"def up(migrator, db):\n    {body}\n\n\ndef down(migrator, db):\n    pass\n"
    (folder / f"{name}.py").write_text(text)


# what the scripts make


def _columns(database: pw.Database, table: str) -> set[tuple[object, ...]]:
    # SQLite calls the same storage by other names; what it stores is told by the affinity.
    same = {"SMALLINT": "INTEGER", "BIGINT": "INTEGER"} if is_sqlite(database) else {}
    return {
        # Nobody writes a row without its key, whatever SQLite would permit.
        (c.name, same.get(c.data_type.upper(), c.data_type), c.null and not c.primary_key)
        for c in database.get_columns(table)
    }


def is_sqlite(database: pw.Database) -> bool:
    return isinstance(database, pw.SqliteDatabase)


def _tables(database: pw.Database) -> dict[str, set[tuple[object, ...]]]:
    # What SQLite keeps beside the chunks to find their words is an index, though it is tables.
    others = ("schema_", "sqlite_", "chunk_words")
    ours = {name for name in database.get_tables() if not name.startswith(others)}
    return {name: _columns(database, name) for name in ours}


def test_the_scripts_make_the_tables_and_columns_the_rows_have(empty: pw.Database) -> None:
    schema.upgrade(empty, [CORE])
    by_scripts = _tables(empty)
    with empty.bind_ctx(ROWS):
        empty.drop_tables(ROWS)
        assert _tables(empty) == {}
        empty.create_tables(ROWS)
    assert by_scripts == _tables(empty)
    assert len(by_scripts) == len(ROWS)


def test_no_index_the_rows_declare_is_missing(migrated: pw.Database) -> None:
    difference = diff_models(migrated, ROWS)
    assert not difference.create_tables
    assert not difference.add_columns
    assert not difference.drop_columns
    assert not difference.add_indexes, str(difference)


def test_a_row_with_its_defaults_can_be_written(migrated: pw.Database) -> None:
    kinds = {
        pw.TextField: "x",
        pw.BigIntegerField: 1,
        pw.IntegerField: 1,
        pw.BooleanField: True,
        pw.BlobField: b"x",
    }
    for row in ROWS:
        fields = row._meta.sorted_fields
        needed = {
            f.name: kinds[type(f)]
            for f in fields
            if not f.null and f.default is None and not isinstance(f, pw.AutoField)
        }
        before = row.select().count()
        row.create(**needed)
        assert row.select().count() == before + 1


def test_everything_can_be_taken_down_and_put_up_again(empty: pw.Database) -> None:
    names = schema.upgrade(empty, [CORE])
    before = _tables(empty)
    runner = Runner(empty, str(CORE.scripts), table_name="schema_migration_core")
    for name in reversed(names):
        assert runner.down() == [name.removeprefix("core/")]
    assert _tables(empty) == {}
    assert schema.upgrade(empty, [CORE]) == names
    assert _tables(empty) == before


# the upgrade


def test_an_upgrade_names_what_it_applied_and_then_has_nothing_to_do(empty: pw.Database) -> None:
    known = [status.name for status in schema.status(empty, [CORE])]
    assert known == sorted(path.stem for path in Path(str(CORE.scripts)).glob("0*.py"))
    assert schema.upgrade(empty, [CORE]) == [f"core/{name}" for name in known]
    assert schema.upgrade(empty, [CORE]) == []
    assert all(status.applied for status in schema.status(empty, [CORE]))


def test_a_database_that_is_behind_is_refused_with_the_remedy(empty: pw.Database) -> None:
    with pytest.raises(SchemaOutOfDate, match=r"core/0001_initial.*run: codex32 db upgrade"):
        schema.require(empty, [CORE])
    schema.upgrade(empty, [CORE])
    schema.require(empty, [CORE])


def test_looking_at_the_status_changes_nothing(empty: pw.Database) -> None:
    schema.status(empty, [CORE])
    assert empty.get_tables() == []


def test_six_upgrades_at_once_apply_everything_once(empty_database_url: str) -> None:
    program = (
        "import sys; from importlib.resources import files\n"
        "from codex32 import MigrationSource; from codex32.kernel import database, schema\n"
        "db = database.connect(sys.argv[1])\n"
        "input()\n"
        "print(len(schema.upgrade(db, [MigrationSource('core', files('codex32_migrations'))])))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in told] == [""] * 6
    scripts = len(list(Path(str(CORE.scripts)).glob("0*.py")))
    assert sorted(int(answer) for answer, _ in told) == [0] * 5 + [scripts]


def test_a_project_folder_is_made_with_its_first_database(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path}/new/data/x.db")
    schema.upgrade(database, [CORE])
    database.close()


# scripts that change or fail


def test_a_script_edited_after_it_was_applied_is_refused(empty, scripts: Path) -> None:
    source = MigrationSource("mine", scripts)
    schema.upgrade(empty, [source])
    write(scripts, "0001_first", "db.execute_sql('CREATE TABLE other (id INTEGER)')")
    write(scripts, "0002_second", "db.execute_sql('CREATE TABLE two (id INTEGER)')")
    with pytest.raises(schema.MigrationChanged, match=r"mine/0001_first was edited.*restore it"):
        schema.upgrade(empty, [source])
    assert "two" not in empty.get_tables()


def test_a_failing_script_leaves_nothing_and_keeps_what_came_before(empty, scripts) -> None:
    source = MigrationSource("mine", scripts)
    half = "db.execute_sql('CREATE TABLE two (id INTEGER)'); db.execute_sql('SELEKT')"
    write(scripts, "0002_second", half)
    with pytest.raises(pw.PeeweeException):
        schema.upgrade(empty, [source])
    assert "one" in empty.get_tables()
    assert "two" not in empty.get_tables()
    assert [status.applied for status in schema.status(empty, [source])] == [True, False]
    write(scripts, "0002_second", "db.execute_sql('CREATE TABLE two (id INTEGER)')")
    assert schema.upgrade(empty, [source]) == ["mine/0002_second"]
    write(scripts, "0001_first", "pass")
    with pytest.raises(schema.MigrationChanged, match="mine/0001_first"):
        schema.upgrade(empty, [source])


def test_each_source_has_a_history_of_its_own(empty: pw.Database, scripts: Path) -> None:
    mine = MigrationSource("mine", scripts)
    assert schema.upgrade(empty, [CORE, mine])[-1] == "mine/0001_first"
    assert {"schema_migration_core", "schema_migration_mine"} <= set(empty.get_tables())
    schema.require(empty, [mine])
