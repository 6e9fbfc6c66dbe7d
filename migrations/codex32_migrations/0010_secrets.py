"""Secrets, sealed; the data keys they are sealed with; and connections that refer to them."""

TABLES = """
CREATE TABLE data_key (
    scope TEXT NOT NULL,
    number INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    wrapped TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, number)
){rowid};

CREATE TABLE secret (
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (workspace, name)
){rowid};

CREATE TABLE connection (
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    config TEXT NOT NULL,
    secrets TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (workspace, name)
){rowid}
"""


def up(migrator, db):
    rowid = " WITHOUT ROWID" if type(db).__name__.startswith("Sqlite") else ""
    for statement in TABLES.replace("{rowid}", rowid).split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    for table in ("connection", "secret", "data_key"):
        db.execute_sql(f"DROP TABLE {table}")
