"""Requests that came with an idempotency key, and how they were answered."""

TABLE = """
CREATE TABLE request_key (
    digest TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    answer TEXT,
    created_at BIGINT NOT NULL
){rowid};
CREATE INDEX request_key_created_at ON request_key (created_at)
"""


def up(migrator, db):
    rowid = " WITHOUT ROWID" if type(db).__name__.startswith("Sqlite") else ""
    for statement in TABLE.replace("{rowid}", rowid).split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    db.execute_sql("DROP TABLE request_key")
