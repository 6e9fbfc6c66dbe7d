"""What steps ask people."""

TABLES = """
CREATE TABLE approval (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    bot_name TEXT NOT NULL,
    step TEXT NOT NULL,
    item INTEGER NOT NULL,
    status TEXT NOT NULL,
    request TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    decided_at BIGINT,
    decided_by TEXT,
    answer TEXT
);
CREATE INDEX approval_execution_id_step_item ON approval (execution_id, step, item);
CREATE UNIQUE INDEX approval_pending ON approval (execution_id, step, item)
    WHERE status = 'pending';
"""


def up(migrator, db):
    for statement in TABLES.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def down(migrator, db):
    db.execute_sql("DROP TABLE approval")
