"""What is gathered to go out together, and links by which people answer."""

TABLES = """
CREATE TABLE gathered (
    owner TEXT NOT NULL,
    step TEXT NOT NULL,
    item INTEGER NOT NULL,
    execution_id TEXT NOT NULL,
    workspace TEXT NOT NULL,
    key TEXT NOT NULL,
    items TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    brought_at BIGINT NOT NULL,
    taken_by TEXT,
    PRIMARY KEY (owner, step, item)
);
CREATE INDEX gathered_workspace_key_taken_by_due_at ON gathered (workspace, key, taken_by, due_at);
CREATE TABLE approval_link (
    digest TEXT NOT NULL PRIMARY KEY,
    workspace TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    step TEXT NOT NULL,
    item INTEGER NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX approval_link_execution_id ON approval_link (execution_id);
"""


def up(migrator, db):
    for statement in TABLES.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def down(migrator, db):
    db.execute_sql("DROP TABLE approval_link")
    db.execute_sql("DROP TABLE gathered")
